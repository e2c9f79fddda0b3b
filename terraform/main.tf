# The reference environment: an invented production system of four instances in module.core, which
# a stop destroys and a start creates, and what must survive a stop in module.persistent.
#
# Everything is a terraform_data, which is built into Terraform: no provider is downloaded and
# nothing outside this state is touched. To use it as a template, replace each terraform_data by the
# resource of your provider and keep the modules: the guards of the plans count on them.
#
# One workspace an environment, named like it; the state is local, in terraform.tfstate.d/.

terraform {
  required_version = ">= 1.6"
}

locals {
  # Names and addresses that both modules need are worked out here and handed to each, so that
  # neither module refers to the other: a targeted apply would pull in what module.core depends
  # on, and a targeted destroy would take along what depends on it.
  buckets = {
    products = "${var.environment}-products"
    backups  = "${var.environment}-database-backups"
    images   = "${var.environment}-software-images"
  }
}

module "persistent" {
  source = "./modules/persistent"

  environment       = var.environment
  bucket_access_key = var.bucket_access_key
  buckets           = local.buckets
  network_prefix    = var.network_prefix
  instance_image    = var.instance_image
  admin_flavor      = var.admin_flavor
}

module "core" {
  source = "./modules/core"

  environment             = var.environment
  network_prefix          = var.network_prefix
  instance_image          = var.instance_image
  database_flavor         = var.database_flavor
  nomad_server_flavor     = var.nomad_server_flavor
  worker_flavor           = var.worker_flavor
  database_volume_gb      = var.database_volume_gb
  buckets                 = local.buckets
  bucket_access_key       = var.bucket_access_key
  bucket_secret_key       = var.bucket_secret_key
  sip_data_bucket         = var.sip_data_bucket
  sip_data_access_key     = var.sip_data_access_key
  sip_data_secret_key     = var.sip_data_secret_key
  scihub_account_username = var.scihub_account_username
  scihub_account_password = var.scihub_account_password
  database_password       = var.database_password
  nomad_address           = var.nomad_address
  database_address        = var.database_address
}
