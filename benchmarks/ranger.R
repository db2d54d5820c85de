# Rscript ranger.R train ROWS.csv MODEL.rds TREES LEAF MTRY SEED
# Rscript ranger.R predict MODEL.rds RASTER.tif OUT.tif RUNS      prints seconds of the runs and MB
suppressPackageStartupMessages({ library(ranger); library(terra) })
arguments <- commandArgs(trailingOnly = TRUE)

if (arguments[1] == "train") {
  settings <- as.numeric(arguments[4:7])
  rows <- as.matrix(read.csv(arguments[2]))
  # this ranger has no smallest leaf, only a smallest node to split
  model <- ranger(x = rows[, -1], y = rows[, 1], num.trees = settings[1],
                  min.node.size = 2 * settings[2], mtry = settings[3], seed = settings[4],
                  quantreg = TRUE, num.threads = 2)
  saveRDS(model, arguments[3], compress = FALSE)
} else {
  model <- readRDS(arguments[2])
  bands <- rast(arguments[3])
  quantiles <- function(model, values, ...) {
    predict(model, values, type = "quantiles", quantiles = c(0.05, 0.5, 0.95),
            num.threads = 2)$predictions
  }
  once <- function() system.time(
    predict(bands, model, fun = quantiles, filename = arguments[4], overwrite = TRUE)
  )[["elapsed"]]
  seconds <- replicate(as.integer(arguments[5]), once())
  status <- readLines("/proc/self/status")
  peak <- as.numeric(gsub("[^0-9]", "", grep("VmHWM", status, value = TRUE))) / 1024
  cat(sprintf('{"seconds": [%s], "peak": %.1f}\n', paste(seconds, collapse = ","), peak))
}
