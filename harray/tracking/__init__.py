"""MLflow: runs, the model registry and the packaged model. The only importer of mlflow; knows no Ray."""
