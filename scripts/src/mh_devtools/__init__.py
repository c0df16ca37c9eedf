"""Tools of this repository, installed in place only: no image of a service and no published wheel has them."""
