//! Installs sets of RPM packages: libsolv's answers, faster.
