# The values come from two var files an environment; tfvars-examples/ has examples of both.

# --- configuration: may be committed ---

variable "environment" {
  description = "Name of the environment, which is also its workspace: prod or test. Part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.environment))
    error_message = "The environment's name is up to 20 small letters, digits and hyphens, and starts with a letter."
  }
}

variable "network_prefix" {
  description = "First three numbers of the private network, for instance 10.20.0: the instances get .11 and up."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}$", var.network_prefix))
    error_message = "The network's prefix is three numbers joined by dots, for instance 10.20.0."
  }
}

variable "instance_image" {
  description = "Image that the instances boot from."
  type        = string
  default     = "debian-12"
}

variable "admin_flavor" {
  description = "Size of tf-toto, from which people administer the system."
  type        = string
  default     = "eo1.small"
}

variable "database_flavor" {
  description = "Size of tf-tutu, the database."
  type        = string
  default     = "eo1.medium"
}

variable "nomad_server_flavor" {
  description = "Size of tf-tete, the Nomad server."
  type        = string
  default     = "eo1.small"
}

variable "worker_flavor" {
  description = "Size of tf-tata and tf-titi, the Nomad clients on which the services run."
  type        = string
  default     = "eo1.large"
}

variable "database_volume_gb" {
  description = "Size of the database's volume, in GB."
  type        = number
  default     = 200
}

variable "bucket_access_key" {
  description = "Access key of the system's own buckets."
  type        = string
}

variable "sip_data_bucket" {
  description = "Bucket from which the input products are read."
  type        = string
}

variable "sip_data_access_key" {
  description = "Access key of the bucket of input products."
  type        = string
}

variable "scihub_account_username" {
  description = "Account at the catalogue of input products."
  type        = string
}

variable "nomad_address" {
  description = "URL at which Nomad answers, if not tf-tete's private address: behind a tunnel or a proxy."
  type        = string
  default     = null
}

variable "database_address" {
  description = "HOST:PORT at which PostgreSQL answers, if not tf-tutu's private address."
  type        = string
  default     = null
}

# --- secrets: never committed ---

variable "bucket_secret_key" {
  description = "Secret key of the system's own buckets."
  type        = string
  sensitive   = true
}

variable "sip_data_secret_key" {
  description = "Secret key of the bucket of input products."
  type        = string
  sensitive   = true
}

variable "scihub_account_password" {
  description = "Password of the account at the catalogue of input products."
  type        = string
  sensitive   = true
}

variable "database_password" {
  description = "Password of the services' role in PostgreSQL."
  type        = string
  sensitive   = true
}
