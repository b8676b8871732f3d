//! metadata.yaml: in the form of Netdata's integrations.
