variable "environment" {
  type = string
}

variable "network_prefix" {
  type = string
}

variable "instance_image" {
  type = string
}

variable "database_flavor" {
  type = string
}

variable "nomad_server_flavor" {
  type = string
}

variable "worker_flavor" {
  type = string
}

variable "database_volume_gb" {
  type = number
}

variable "buckets" {
  type = object({ products = string, backups = string, images = string })
}

variable "bucket_access_key" {
  type = string
}

variable "bucket_secret_key" {
  type      = string
  sensitive = true
}

variable "sip_data_bucket" {
  type = string
}

variable "sip_data_access_key" {
  type = string
}

variable "sip_data_secret_key" {
  type      = string
  sensitive = true
}

variable "scihub_account_username" {
  type = string
}

variable "scihub_account_password" {
  type      = string
  sensitive = true
}

variable "database_password" {
  type      = string
  sensitive = true
}

variable "nomad_address" {
  type    = string
  default = null
}

variable "database_address" {
  type    = string
  default = null
}
