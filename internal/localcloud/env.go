package localcloud

import (
	"os"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
)

// EnvVar is one variable of an environment.
type EnvVar struct{ Name, Value string }

// String is NAME=value.
func (v EnvVar) String() string { return v.Name + "=" + v.Value }

// CheckAllow reports the members of Options.Allow that the local cloud does not know as actions. A name may
// contain *, as in a policy.
func CheckAllow(allow []string) error { return iam.CheckActions(allow) }

// AddThing makes the device certificate of a thing unless it has one.
func (c *Cloud) AddThing(thing string) error { return c.pki.Device(thing) }

// AgentEnv is what the agent of a thing needs to find this cloud. It makes the device certificate
// if needed; should that fail, the log says why, and the agent will miss the files by name.
func (c *Cloud) AgentEnv(thing string) []EnvVar {
	if err := c.AddThing(thing); err != nil {
		logevent.CertificateNotCreated.Log(c.log, zap.String("thing", thing), zap.Error(err))
	}
	return []EnvVar{
		{"AWS_REGION", account.Home(c.o.Region).Region()},
		{"AWS_IOT_CA_CERT", c.pki.CAFile()},
		{"AWS_IOT_CORE_CERT", c.pki.CertFile(thing)},
		{"AWS_IOT_CORE_PRIVATE_KEY", c.pki.KeyFile(thing)},
		{"AWS_IOT_CORE_CREDENTIAL_ENDPOINT", c.CredentialEndpoint()},
		{"AWS_IOT_CORE_DATA_ATS_ENDPOINT", c.MQTTEndpoint()},
		{"AWS_IOT_CORE_ROLE_ALIAS", RoleAlias},
		{"AWS_IOT_CORE_THING_NAME", thing},
		{"AWS_ENDPOINT_URL", c.Endpoint()},
		{rootsVariable(), c.pki.CAFile()},
	}
}

// EnvTestCA says in tests how agents learn to trust this cloud: by AWS_CA_BUNDLE, or with the value
// ssl-cert-file as most hubs learn to trust AWS, without that variable.
const EnvTestCA = "KVS_EDGE_TEST_CA"

func rootsVariable() string {
	if os.Getenv(EnvTestCA) == "ssl-cert-file" {
		return "SSL_CERT_FILE"
	}
	return "AWS_CA_BUNDLE"
}

// UserEnv is what the AWS CLI and the SDKs need to act as the owner of the account.
func (c *Cloud) UserEnv() []EnvVar {
	key := c.keys.User()
	return []EnvVar{
		{"AWS_ENDPOINT_URL", c.Endpoint()},
		{"AWS_CA_BUNDLE", c.pki.CAFile()},
		{"AWS_ACCESS_KEY_ID", key.ID},
		{"AWS_SECRET_ACCESS_KEY", key.Secret},
		{"AWS_REGION", account.Home(c.o.Region).Region()},
		{"AWS_DEFAULT_REGION", account.Home(c.o.Region).Region()},
		{"AWS_ACCOUNT_ID", Account},
		// Or the CLI would put api. and data. before the address, for SiteWise.
		{"AWS_DISABLE_HOST_PREFIX_INJECTION", "true"},
	}
}
