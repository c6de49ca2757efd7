//! A Kubernetes API over one local file; knows nothing of migrations.
