"""Generated code of the OpAMP messages; see `proto/README.md`. Nothing here is edited by hand."""
