# The private network that the instances share, and a port on it for each of them.

resource "terraform_data" "network" {
  input = {
    name = "${var.environment}-network"
  }
}

resource "terraform_data" "subnet" {
  input = {
    name    = "${var.environment}-subnet"
    network = terraform_data.network.id
    cidr    = "${var.network_prefix}.0/24"
  }
}

# PostgreSQL, PostgREST and Nomad from within the network; ssh from tf-toto.
resource "terraform_data" "security_group" {
  input = {
    name  = "${var.environment}-security-group"
    ports = [22, 3000, 4646, 4647, 5432]
    cidr  = "${var.network_prefix}.0/24"
  }
}

resource "terraform_data" "tf_tutu_port" {
  input = {
    name           = "tf-tutu-port"
    subnet         = terraform_data.subnet.id
    security_group = terraform_data.security_group.id
    address        = "${var.network_prefix}.11"
  }
}

resource "terraform_data" "tf_tete_port" {
  input = {
    name           = "tf-tete-port"
    subnet         = terraform_data.subnet.id
    security_group = terraform_data.security_group.id
    address        = "${var.network_prefix}.12"
  }
}

resource "terraform_data" "tf_tata_port" {
  input = {
    name           = "tf-tata-port"
    subnet         = terraform_data.subnet.id
    security_group = terraform_data.security_group.id
    address        = "${var.network_prefix}.13"
  }
}

resource "terraform_data" "tf_titi_port" {
  input = {
    name           = "tf-titi-port"
    subnet         = terraform_data.subnet.id
    security_group = terraform_data.security_group.id
    address        = "${var.network_prefix}.14"
  }
}
