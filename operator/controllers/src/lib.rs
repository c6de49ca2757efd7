//! One controller per resource: the only crate that joins Kubernetes and the domain.
