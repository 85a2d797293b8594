"""What tests of several folders share: servers, trees, processes, waiting."""
