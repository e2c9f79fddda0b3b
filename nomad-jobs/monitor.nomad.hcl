# Watches the queues and the other services, and serves what it sees over HTTP.
job "monitor" {
  datacenters = ["*"]
  type        = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "monitor" {
    # Time for those who look the service up to stop asking.
    shutdown_delay = "1s"

    network {
      port "http" {
        to = 8080
      }
    }

    # Registered with Nomad itself: the system has no Consul.
    service {
      name     = "monitor"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/health"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "monitor" {
      driver = "docker"

      config {
        image = "registry.example.com/cosims/cosims/monitor:git-5d20c8f1"
        ports = ["http"]
      }

      env {
        COSIMS_DB_HTTP_API_BASE_URL = "http://${meta.database_host}:3000"
        HTTP_PORT                   = "8080"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
