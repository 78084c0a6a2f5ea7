"""Azure Machine Learning over `arm` and `blob`: datastores, submissions, jobs, run history. Knows neither Pulumi nor
kinds: what it needs comes as values.
"""
