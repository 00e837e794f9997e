"""A part of MLflow's tracking API, for scripts that log to MLflow.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""
