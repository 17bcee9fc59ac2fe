package mapping

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

func TestCredentialIsToldFromAPath(t *testing.T) {
	for _, value := range []string{
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		"production/aws/wJalrXUtnFEMIK7MDENGbPxR9fiCYE2x",
		"je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
		"AKIAIOSFODNN7EXAMPLE",
		"production/AKIAIOSFODNN7EXAMPLE",
		"ASIAIOSFODNN7EXAMPLE/x",
		"ghp_16C7e42F292c6912E7710c838347Ae178B4a",
		"gho_16C7e42F292c6912E7710c838347Ae178B4a/x",
		"github_pat_11ABCDEFG0aBcDeFgHiJkL_x",
		"glpat-aB3dE5gH7jK9mN1pQ3sT",
		"sk_live_4eC39HqLyjWDarjtT1zdp7dc",
		"sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8x",
		"xoxb-1234567890-1234567890123-AbCdEf0123456789AbCdEf01",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.x",
		"ass_0123456789abcdef01234567",
		"ask_live_0123456789abcdef01234567",
		"ast_tok_0123456789abcdef01234567",
		"a/Zm9vYmFyIGJheiBxdXV4IQ==",
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ",
		"x/9aK+2bQ7/pL0dXe5R+ZtYu1mWcVs3",
	} {
		if !LooksLikeValue(value) {
			t.Errorf("%s is not taken for a credential", value)
		}
	}
	for _, path := range []string{
		"production/gemini/GEMINI_API_KEY",
		"production/payments/stripe/STRIPE_SECRET_KEY",
		"prod/GOOGLE_APPLICATION_CREDENTIALS_JSON",
		"productionEnvironmentVariablesForBilling/KEY",
		"prod/productionEnvironmentVariablesForBilling2Eu1",
		"staging/api/stripeApiKeyV2LiveEu1Production",
		"production/eu1/k8s/db2/apiKeyV2/s3Bucket",
		"prod/myApp/OAuth2ClientIdForGitHubEnterprise",
		"prod/eCommerce/iPhoneXAppStoreP8Key",
		"team/x509CertificateForK8sIngressTLSv13",
		"prod/app/JWTRS256PrivateKeyB64",
		"prod/AWS/S3AccessKeyIdUsEast1",
		"production/webhooks/HMACSHA256SigningKeyV1",
		"550e8400-e29b-41d4-a716-446655440000/KEY",
		"550e8400e29b41d4a716446655440000/KEY",
		"550E8400E29B41D4A716446655440000/KEY",
		"prod/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/K",
		"prod/9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B/apiKey",
		"550e8400-e29b-41d4-a716-4e66c5d4a0f0/ApiKeyV2B",
		"prod/01ARZ3NDEKTSV4RRFFQ69G5FAV/apiKey", "prod/c1l9e4b7q2h8x5k0m3b6t1y4d9h2o7/KEY",
		"prod/ASIAPACIFICREGIONKEY",
		"prod/sk_live_key", "sk-prod/KEY", "sk-production-2024/KEY", "ass_agent_key_2024/KEY", "prod/ask_me", "prod/xoxb-token",
		"production/tls/PRIVATEKEYOFTHEINGRESSCONTROLLER2024",
		"production/app/aes256gcmkeyforbackups2024",
		"a/b", "", "production/é/I",
	} {
		if LooksLikeValue(path) {
			t.Errorf("%s is taken for a credential", path)
		}
	}
}

func TestRandomTextIsTakenForACredential(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	rng := rand.New(rand.NewPCG(1, 2))
	missed := 0
	for range 1000 {
		var b strings.Builder
		for range 40 {
			b.WriteByte(alphabet[rng.IntN(len(alphabet))])
		}
		if !LooksLikeValue(b.String()) {
			missed++
		}
	}
	if missed > 40 {
		t.Errorf("got %d of 1000 not taken for one, want 40 or fewer", missed)
	}
}

// The error quotes nothing, wherever the credential stands.
func TestCredentialInTheMappingIsNotQuoted(t *testing.T) {
	const key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	const want = "A: this looks like a value; plain values belong in the environment, not in the mapping"
	for _, line := range []string{
		"A=" + key, "A=ass://" + key, "A='" + key + "?optional'", "A='x ${ass://" + key + "} y'", "A=a/%67hp_16C7e42F292c6912E7710c838347Ae178B4a",
		"A='x://u:${ass://" + key + "}@h'",
		"A=ghp_16C7e42F292c6912E7710c838347Ae178B4a",
	} {
		_, err := Parse("m", []byte(line))
		if es := exit.AsErrors(err); len(es) != 1 || es[0].Msg != "m:1: "+want || es[0].Code != exit.Config || es[0].Hint != errLooksLikeValue.hint {
			t.Errorf("%s: got %v", line, err)
		}
	}
	for _, value := range []string{"ass://" + key, "x ${ass://" + key + "}"} {
		if _, _, err := ParseInherited(value); err != errLooksLikeValue {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

// The last line of a key in PEM, or what else ends with the padding of base64,
// is a name with = behind it.
func TestEndOfAPastedKeyIsNotQuoted(t *testing.T) {
	const noValue = "there is no value after the ="
	for line, want := range map[string]string{
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ==":        errLooksLikeValue.msg,
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ=":         errLooksLikeValue.msg,
		"export q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ='": errLooksLikeValue.msg,
		"yXm8gFrJUAigYQ==":                          noValue,
		"yXm8gFrJUAigY=\r":                          noValue,
		"yXm8gFrJUAigYQ==\"":                        noValue,
		" yXm8gFrJUAigYQ=='":                        noValue,
		"apiKey=":                                   noValue,
		"apiKey":                                    "the line has no =",
		"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ":          "the line has no =",
		"API_KEY_2=":                                "API_KEY_2 has no value",
		"apiKey=x":                                  `apiKey: "x" is not a secret path; a path has a namespace and a key, like production/app/DEBUG`,
	} {
		if _, err := Parse("m", []byte(line)); err == nil || err.Error() != "m:1: "+want {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}
