//! Who is believed: keys and policy files on the build side; the check itself is cfs-init's.
