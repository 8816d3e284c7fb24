"""What students' code is given: the objects that the hypervisor hands to it, and the facts of the architecture."""
