# The agent key is item agent_key of the Nomad variable nomad/jobs/example.
job "example" {
  group "api" {
    count = 2
    network {
      port "http" { to = 3000 }
    }
    service {
      provider = "nomad"
      port     = "http"
      check {
        type     = "http"
        path     = "/health"
        interval = "5s"
        timeout  = "5s"
      }
    }
    update {
      healthy_deadline = "2m" # more than ASS_TIMEOUT
      auto_revert      = true
    }
    task "api" {
      driver = "docker"
      config {
        image           = "registry.example.com/example:1"
        ports           = ["http"]
        readonly_rootfs = true
      }
      template {
        data        = "{{ with nomadVar \"nomad/jobs/example\" }}{{ .agent_key }}{{ end }}"
        destination = "secrets/agent-key"
        perms       = "0444"
      }
      env {
        ASS_AGENT_KEY_FILE = "/secrets/agent-key"
        NODE_ENV           = "production"
        PGPASSWORD         = "ass://production/postgres/credentials?field=password"
      }
    }
  }
}
