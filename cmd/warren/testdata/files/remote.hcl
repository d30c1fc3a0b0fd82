context "green" { config_url = "https://127.0.0.1:1/green.hcl" }
