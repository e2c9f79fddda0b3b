# What outlives a stop: the buckets, and the instance from which people administer the system.
# The bootstrap plan creates it once. Nothing here may refer to module.core.

resource "terraform_data" "products_bucket" {
  input = {
    name       = var.buckets.products
    access_key = var.bucket_access_key
  }
}

# Holds what the database is restored from at the next start.
resource "terraform_data" "backups_bucket" {
  input = {
    name       = var.buckets.backups
    access_key = var.bucket_access_key
  }
}

resource "terraform_data" "images_bucket" {
  input = {
    name       = var.buckets.images
    access_key = var.bucket_access_key
  }
}

resource "terraform_data" "tf_toto" {
  input = {
    name        = "tf-toto"
    role        = "admin"
    environment = var.environment
    image       = var.instance_image
    flavor      = var.admin_flavor
    address     = "${var.network_prefix}.5"
  }
}
