//! Deployments on the disk: directory, origin, /etc and /var.
