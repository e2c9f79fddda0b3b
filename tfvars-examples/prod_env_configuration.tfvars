# Configuration of the production environment: an example, every value is invented.
# Copy it to tfvars/prod_env_configuration.tfvars and put yours in. Access keys say who asks and
# are no secret by themselves: this file may be kept in a repository of your own.

environment    = "prod"
network_prefix = "10.20.0"

instance_image      = "debian-12"
admin_flavor        = "eo1.small"
database_flavor     = "eo1.large"
nomad_server_flavor = "eo1.medium"
worker_flavor       = "eo1.large"
database_volume_gb  = 500

bucket_access_key       = "EXAMPLE-PROD-BUCKET-ACCESS-KEY"
sip_data_bucket         = "example-sip-data"
sip_data_access_key     = "EXAMPLE-PROD-SIP-DATA-ACCESS-KEY"
scihub_account_username = "example-prod-account"
