# Configuration of the test environment: an example, every value is invented.
# Copy it to tfvars/test_env_configuration.tfvars and put yours in. Access keys say who asks and
# are no secret by themselves: this file may be kept in a repository of your own.
#
# The test system is a smaller copy of the production one, with a network, buckets and keys of its own.

environment    = "test"
network_prefix = "10.30.0"

instance_image      = "debian-12"
admin_flavor        = "eo1.small"
database_flavor     = "eo1.medium"
nomad_server_flavor = "eo1.small"
worker_flavor       = "eo1.large"
database_volume_gb  = 100

bucket_access_key       = "EXAMPLE-TEST-BUCKET-ACCESS-KEY"
sip_data_bucket         = "example-sip-data-test"
sip_data_access_key     = "EXAMPLE-TEST-SIP-DATA-ACCESS-KEY"
scihub_account_username = "example-test-account"
