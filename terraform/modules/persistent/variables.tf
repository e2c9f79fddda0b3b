variable "environment" {
  type = string
}

variable "network_prefix" {
  type = string
}

variable "instance_image" {
  type = string
}

variable "admin_flavor" {
  type = string
}

variable "buckets" {
  type = object({ products = string, backups = string, images = string })
}

variable "bucket_access_key" {
  type = string
}
