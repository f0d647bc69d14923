"""MLflow, and nothing else of this project knows it: what the steps record, its delivery, the registry of policies.

`runtime` is what a step calls; `journal` keeps on disk what is to be recorded, `delivery` brings it to the server;
`children` writes the trials of a comparison; `registry` holds the policies of retraining.
"""
