# What a stop destroys and a start creates: exactly 13 resources, counted by the guards in plans/.
# Four instances and two volumes are here, four ports and the network's three parts in network.tf.
#
# An instance's start-up secrets are in triggers_replace, not in input: a changed secret makes a new
# instance, as changed user data does, and Terraform would print input's secrets again in the clear
# as part of the resource's output.

# The database's data; a new volume is filled from the last backup when the instance first boots.
resource "terraform_data" "tf_tutu_volume" {
  input = {
    name    = "tf-tutu-volume"
    size_gb = var.database_volume_gb
  }
}

# The Nomad server's state, which is not kept over a stop: the job files say what runs.
resource "terraform_data" "tf_tete_volume" {
  input = {
    name    = "tf-tete-volume"
    size_gb = 20
  }
}

resource "terraform_data" "tf_tutu" {
  input = {
    name             = "tf-tutu"
    role             = "database"
    environment      = var.environment
    image            = var.instance_image
    flavor           = var.database_flavor
    port             = terraform_data.tf_tutu_port.id
    volume           = terraform_data.tf_tutu_volume.id
    address          = "${var.network_prefix}.11"
    backups_bucket   = var.buckets.backups
    database_address = coalesce(var.database_address, "${var.network_prefix}.11:5432")
  }

  triggers_replace = {
    bucket_access_key = var.bucket_access_key
    bucket_secret_key = var.bucket_secret_key
    database_password = var.database_password
  }
}

resource "terraform_data" "tf_tete" {
  input = {
    name          = "tf-tete"
    role          = "nomad-server"
    environment   = var.environment
    image         = var.instance_image
    flavor        = var.nomad_server_flavor
    port          = terraform_data.tf_tete_port.id
    volume        = terraform_data.tf_tete_volume.id
    address       = "${var.network_prefix}.12"
    nomad_address = coalesce(var.nomad_address, "http://${var.network_prefix}.12:4646")
  }

  triggers_replace = {
    bucket_access_key       = var.bucket_access_key
    bucket_secret_key       = var.bucket_secret_key
    sip_data_access_key     = var.sip_data_access_key
    sip_data_secret_key     = var.sip_data_secret_key
    scihub_account_username = var.scihub_account_username
    scihub_account_password = var.scihub_account_password
    database_password       = var.database_password
  }
}

locals {
  # The job files name these as ${meta.NAME}, so that the environments can share them.
  nomad_meta = {
    database_host   = "${var.network_prefix}.11"
    products_bucket = var.buckets.products
    sip_data_bucket = var.sip_data_bucket
  }
}

# tf-tata and tf-titi are the Nomad clients: the six services run on them.
resource "terraform_data" "tf_tata" {
  input = {
    name         = "tf-tata"
    role         = "nomad-client"
    environment  = var.environment
    image        = var.instance_image
    flavor       = var.worker_flavor
    port         = terraform_data.tf_tata_port.id
    address      = "${var.network_prefix}.13"
    nomad_server = terraform_data.tf_tete.output.address
    nomad_meta   = local.nomad_meta
  }
}

resource "terraform_data" "tf_titi" {
  input = {
    name         = "tf-titi"
    role         = "nomad-client"
    environment  = var.environment
    image        = var.instance_image
    flavor       = var.worker_flavor
    port         = terraform_data.tf_titi_port.id
    address      = "${var.network_prefix}.14"
    nomad_server = terraform_data.tf_tete.output.address
    nomad_meta   = local.nomad_meta
  }
}
