package shim

import (
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/vault"
)

// Names that were found to start code, or to move trust or traffic.
const attackNames = `PATH HOME IFS ENV BASH_ENV BASH_FUNC_ls%% SHELLOPTS PS4 PROMPT_COMMAND ZDOTDIR LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES
	GCONV_PATH GLIBC_TUNABLES MALLOC_TRACE HOSTALIASES NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED
	NPM_CONFIG_SCRIPT_SHELL npm_config_script_shell NPM_CONFIG_REGISTRY PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS PIP_INDEX_URL PERL5OPT PERLLIB RUBYOPT RUBYLIB
	BUNDLE_GEMFILE CLASSPATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS MAVEN_OPTS DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH PHPRC PHP_INI_SCAN_DIR
	LUA_INIT LUA_INIT_5_4 LUA_PATH ERL_AFLAGS ERL_FLAGS R_PROFILE JULIA_LOAD_PATH GOFLAGS GODEBUG GOPROXY RUSTC_WRAPPER CARGO_HOME
	MAKEFLAGS TAR_OPTIONS LESSOPEN PAGER EDITOR VISUAL BROWSER GIT_SSH_COMMAND GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_EXTERNAL_DIFF GIT_ASKPASS SSH_ASKPASS
	OPENSSL_CONF SSL_CERT_FILE SSLKEYLOGFILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE HTTPS_PROXY https_proxy ALL_PROXY no_proxy
	DOCKER_HOST KUBECONFIG PGSERVICEFILE PSQLRC MYSQL_HOME ODBCINI XDG_CONFIG_HOME TMPDIR ASS_API_URL`

func TestNamesThatSteerProgramsAreProtectedWithoutCase(t *testing.T) {
	names := strings.Fields(attackNames)
	for _, line := range protectedNames {
		if line.why == "" {
			t.Errorf("no reason for %s", line.names)
		}
		for _, name := range strings.Fields(line.names) {
			names = append(names, strings.Replace(name, "*", "ANY", 1))
		}
	}
	for _, name := range names {
		for _, name := range []string{name, strings.ToLower(name)} {
			if protected(name) == "" {
				t.Errorf("%s is not protected", name)
			}
		}
	}
	t.Logf("%d names", len(names))
}

func TestImportRefusesEveryProtectedName(t *testing.T) {
	for _, line := range protectedNames {
		for _, name := range strings.Fields(line.names) {
			ref := vault.Ref("app/" + strings.Replace(name, "*", "ANY", 1))
			p := plan{}
			bindings, problems := importListed(p, []listing{{namespace: "app", items: []vault.SecretInfo{{Ref: ref}}}})
			if len(bindings) != 0 || exit.Status(problems.OrNil()) != 78 {
				t.Errorf("%s: got %v, %v", ref, bindings, problems)
			}
		}
	}
}

func TestNamesOfHonestSecretsAreNotProtected(t *testing.T) {
	for _, name := range strings.Fields(`GIT_TOKEN GITHUB_TOKEN GITLAB_TOKEN GIT_PASSWORD GIT_USERNAME SCRAPER_PROXY PGPASSWORD PGUSER PGHOST PGDATABASE
		PYPI_TOKEN NPM_TOKEN NODE_AUTH_TOKEN DATABASE_URL REDIS_URL MYSQL_PWD MYSQL_PASSWORD POSTGRES_PASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
		AWS_SESSION_TOKEN GOOGLE_API_KEY GEMINI_API_KEY OPENAI_API_KEY STRIPE_SECRET_KEY SLACK_BOT_TOKEN SENTRY_DSN DOCKER_PASSWORD DOCKER_AUTH_CONFIG
		CARGO_REGISTRY_TOKEN COMPOSER_AUTH UV_PUBLISH_TOKEN UV_INDEX_PRIVATE_PASSWORD PIP_PASSWORD GEM_HOST_API_KEY BUNDLE_RUBYGEMS__PKG__GITHUB__COM
		HOMEBREW_GITHUB_API_TOKEN HELM_REPO_PASSWORD VAULT_TOKEN TF_TOKEN_app_terraform_io TF_VAR_password RELEASE_COOKIE SECRET_KEY_BASE RAILS_MASTER_KEY
		SSH_PRIVATE_KEY JWT_SECRET SESSION_SECRET SMTP_PASSWORD LDAP_PASSWORD OPENSSL_PASSPHRASE TLS_KEY PROXY_PASSWORD API_URL ENVIRONMENT PATH_PREFIX
		HOMEPAGE LESS_API_KEY GOOGLE_CLIENT_SECRET LDAP_URL JAVA_KEYSTORE_PASSWORD NUGET_API_KEY NETRC_PASSWORD CC_TOKEN OAUTH_TOKEN`) {
		if why := protected(name); why != "" {
			t.Errorf("%s is taken for %s", name, why)
		}
	}
}
