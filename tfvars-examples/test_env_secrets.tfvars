# Secrets of the test environment: an example, every value is invented and opens nothing.
# Copy it to tfvars/test_env_secrets.tfvars, which git ignores, put yours in, and chmod 600 it.
# EVERYTHING IN THAT COPY IS SECRET: never commit it, never send it, never paste it into a ticket.

bucket_secret_key       = "example-test-bucket-secret-key"
sip_data_secret_key     = "example-test-sip-data-secret-key"
scihub_account_password = "example-test-scihub-password"
database_password       = "example-test-database-password"
