package settings

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

// effectiveConfig is what Greengrass writes, shortened.
const effectiveConfig = `---
services:
  aws.greengrass.Nucleus:
    componentType: "NUCLEUS"
    configuration:
      awsRegion: "us-west-2"
      iotCredEndpoint: "abc.credentials.iot.us-west-2.amazonaws.com"
      iotDataEndpoint: "abc-ats.iot.us-west-2.amazonaws.com"
      iotRoleAlias: "GreengrassV2TokenExchangeRoleAlias"
      mqtt:
        spooler: {}
    dependencies: []
    lifecycle:
      bootstrap:
        script: "\nset -eu\nawsRegion: wrong\n"
  main:
    dependencies:
    - "aws.greengrass.Nucleus:HARD"
system:
  certificateFilePath: "CERT"
  privateKeyPath: "file://KEY"
  rootCaPath: "CA"
  rootpath: "/greengrass/v2"
  thingName: "core-1"
`

// greengrassRoot is the directory of a Greengrass with the certificate of that environment.
func greengrassRoot(t *testing.T, env map[string]string, replace ...string) string {
	t.Helper()
	root := t.TempDir()
	text := strings.NewReplacer(append(replace, "CERT", env[EnvCoreCert], "KEY", env[EnvCorePrivateKey], "CA\"",
		env[EnvCACert]+"\"")...).Replace(effectiveConfig)
	must(t, os.MkdirAll(filepath.Join(root, "config"), 0o750))
	must(t, os.WriteFile(filepath.Join(root, greengrassConfig), []byte(text), 0o600))
	return root
}

// TestGreengrassDecidesAboutFIPS where the environment does not.
func TestGreengrassDecidesAboutFIPS(t *testing.T) {
	t.Parallel()
	env := goodEnvironment(t)
	root := greengrassRoot(t, env, "      iotCredEndpoint:", "      fipsMode: \"true\"\n      iotCredEndpoint:")
	for value, want := range map[string]bool{"": true, "true": true, "false": false} {
		s, err := FromEnv(lookupIn(map[string]string{EnvGreengrassRoot: root, EnvRoleAlias: "alias", endpoint.EnvFIPS: value}))
		if err != nil || s.Endpoints.FIPS != want {
			t.Errorf("with %q FIPS is %v (%v), want %v", value, s.Endpoints.FIPS, err, want)
		}
	}
	for mode, want := range map[string]bool{
		"true": true, "\"true\"": true, "True": true, "yes": true, "1": true, "false": false, "\"false\"": false, "\"\"": false, "no": false,
		"0": false, "maybe": false,
	} {
		root := greengrassRoot(t, env, "      iotCredEndpoint:", "      fipsMode: "+mode+"\n      iotCredEndpoint:")
		s, err := FromEnv(lookupIn(map[string]string{EnvGreengrassRoot: root, EnvRoleAlias: "alias"}))
		if err != nil || s.Endpoints.FIPS != want {
			t.Errorf("with fipsMode %s FIPS is %v (%v), want %v", mode, s.Endpoints.FIPS, err, want)
		}
	}
}

func TestGreengrassGivesWhatTheEnvironmentLacks(t *testing.T) {
	t.Parallel()
	env := goodEnvironment(t)
	root := greengrassRoot(t, env)
	s, err := FromEnv(lookupIn(map[string]string{EnvGreengrassRoot: root, EnvRoleAlias: "of-our-own"}))
	if err != nil {
		t.Fatal(err)
	}
	want := IoT{
		CACert: env[EnvCACert], Cert: env[EnvCoreCert], PrivateKey: env[EnvCorePrivateKey],
		CredentialEndpoint: "abc.credentials.iot.us-west-2.amazonaws.com", DataEndpoint: "abc-ats.iot.us-west-2.amazonaws.com",
		RoleAlias: "of-our-own", ThingName: "core-1", ClientID: "core-1-kvs-edge",
	}
	if s.IoT != want || s.Region != "us-west-2" {
		t.Errorf("got  %+v\nwant %+v", s.IoT, want)
	}
	if _, err := FromEnv(lookupIn(map[string]string{EnvGreengrassRoot: t.TempDir()})); err == nil ||
		!strings.Contains(err.Error(), EnvGreengrassRoot) {
		t.Errorf("without the file: %v", err)
	}
	if s, err = FromEnv(lookupIn(env)); err != nil || s.IoT.ClientID != s.IoT.ThingName {
		t.Errorf("without Greengrass the client is %q, not the thing: %v", s.IoT.ClientID, err)
	}
}

const exchangeURL = "http://localhost:1441/2016-11-01/credentialprovider/"

// component is what Greengrass sets for a component that depends on the token exchange service.
func component(root string) map[string]string {
	return map[string]string{
		EnvGreengrassRoot: root, envGreengrassSocket: filepath.Join(root, "ipc.socket"), envGreengrassThing: "core-1", EnvRegion: "us-west-2",
		envGreengrassCACert: filepath.Join(root, "rootCA.pem"), EnvTokenExchange: exchangeURL, envTokenExchangeToken: "ticket",
	}
}

func TestWhenGreengrassGivesTheCredentials(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		replace  []string          // in the configuration of Greengrass
		env      map[string]string // beside that of a component; "-" takes away
		exchange bool              // credentials come from Greengrass
		without  string            // why there is no MQTT
		refused  string            // in the error
	}{
		"all there": {},
		"no role alias": {replace: []string{`iotRoleAlias: "GreengrassV2TokenExchangeRoleAlias"`, `iotRoleAlias: ""`},
			exchange: true},
		"no endpoint":             {replace: []string{"iotCredEndpoint", "x"}, exchange: true},
		"role alias in variables": {replace: []string{"iotRoleAlias", "x"}, env: map[string]string{EnvRoleAlias: "own"}},
		"key closed to us": {replace: []string{"file://KEY", "/nowhere/thingKey"}, exchange: true,
			without: "cannot read /nowhere/thingKey"},
		"certificate closed to us": {replace: []string{"CERT", "/nowhere/cert"}, exchange: true, without: "cannot read /nowhere/cert"},
		"key in hardware": {replace: []string{"file://KEY", "pkcs11:object=thing;type=private"}, exchange: true,
			without: "lies in hardware"},
		"configuration closed": {env: map[string]string{EnvGreengrassRoot: "/nowhere"}, exchange: true,
			without: "cannot read /nowhere/config/effectiveConfig.yaml"},
		"root of the default place": {env: map[string]string{EnvGreengrassRoot: "-"}, exchange: true,
			without: "cannot read /greengrass/v2/config/effectiveConfig.yaml"},
		"not a component": {replace: []string{"file://KEY", "/nowhere/thingKey"}, env: map[string]string{envGreengrassSocket: "-"},
			refused: EnvCorePrivateKey},
		"no token exchange": {replace: []string{"file://KEY", "/nowhere/thingKey"}, env: map[string]string{EnvTokenExchange: "-"},
			refused: EnvCorePrivateKey},
		"neither of both": {env: map[string]string{EnvGreengrassRoot: "/nowhere", EnvTokenExchange: "-"}, refused: EnvGreengrassRoot},
		"exchange elsewhere": {replace: []string{"iotRoleAlias", "x"}, env: map[string]string{EnvTokenExchange: "http://192.0.2.1/"},
			refused: EnvTokenExchange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := goodEnvironment(t)
			env := component(greengrassRoot(t, good, row.replace...))
			for k, v := range row.env {
				if env[k] = v; v == "-" {
					delete(env, k)
				}
			}
			s, err := FromEnv(lookupIn(env))
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) || strings.Contains(err.Error(), "ticket") {
					t.Errorf("want an error about %s: %v", row.refused, err)
				}
				return
			}
			must(t, err)
			if got := s.IoT.TokenExchange.URL; (got == exchangeURL) != row.exchange || (got == "") == row.exchange {
				t.Errorf("credentials of %q", got)
			}
			if got := s.IoT.NoCertificate; (got == "") != (row.without == "") || !strings.Contains(got, row.without) {
				t.Errorf("no certificate because %q, want %q", got, row.without)
			}
			if s.IoT.ThingName != "core-1" || s.IoT.ClientID != "core-1-kvs-edge" {
				t.Errorf("thing %s, client %s", s.IoT.ThingName, s.IoT.ClientID)
			}
			if device, err := s.IoT.TLS(); err != nil || (device == nil) != (row.without != "") {
				t.Errorf("TLS %v, %v", device, err)
			}
		})
	}
}

// liteRoot is the configuration of a nucleus lite: what people wrote, and what a package and a
// provisioning kit put beside it.
func liteRoot(t *testing.T, env map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, liteConfigs), 0o750))
	for name, text := range map[string]string{
		liteConfig: `---
system:
  privateKeyPath: "` + env[EnvCorePrivateKey] + `" # of the thing
  certificateFilePath: '` + env[EnvCoreCert] + `'
  rootCaPath: ` + env[EnvCACert] + ` # Amazon's
  rootPath: "/var/lib/greengrass"
  thingName: "to be replaced"
services:
  aws.greengrass.NucleusLite:
    componentType: "NUCLEUS"
    configuration:
      awsRegion: "us-west-2"
      iotRoleAlias: "lite-alias"
`,
		liteConfigs + "/10-provisioned.yaml": `system:
  thingName: "core-1"
services:
  aws.greengrass.NucleusLite:
    configuration:
      iotCredEndpoint: "abc.credentials.iot.us-west-2.amazonaws.com"
      iotDataEndpoint: "wrong.example"
`,
		liteConfigs + "/20-site.yaml": `services:
  "aws.greengrass.NucleusLite":
    configuration:
      iotDataEndpoint: "abc-ats.iot.us-west-2.amazonaws.com"
`,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestTheNucleusLiteKeepsItsConfigurationElsewhere(t *testing.T) {
	t.Parallel()
	good := goodEnvironment(t)
	lite, root := liteRoot(t, good), t.TempDir() // of a nucleus lite: no effectiveConfig.yaml
	want := IoT{
		CACert: good[EnvCACert], Cert: good[EnvCoreCert], PrivateKey: good[EnvCorePrivateKey],
		CredentialEndpoint: "abc.credentials.iot.us-west-2.amazonaws.com", DataEndpoint: "abc-ats.iot.us-west-2.amazonaws.com",
		RoleAlias: "lite-alias", ThingName: "core-1", ClientID: "core-1-kvs-edge",
	}
	for name, env := range map[string]map[string]string{
		"a component":         component(root),
		"named by a variable": {EnvGreengrassRoot: root},
		"beside AWS's agent":  {EnvGreengrassRoot: root, EnvThingName: "core-1"},
		"with its own region": {EnvGreengrassRoot: root, EnvRegion: "us-west-2"},
	} {
		s, err := fromEnv(lookupIn(env), lite)
		if err != nil || s.IoT != want || s.Region != "us-west-2" {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, s.IoT, want)
		}
	}
	classic := greengrassRoot(t, good)
	s, err := fromEnv(lookupIn(map[string]string{EnvGreengrassRoot: classic}), lite)
	if err != nil || s.IoT.RoleAlias != "GreengrassV2TokenExchangeRoleAlias" {
		t.Errorf("beside the nucleus: %v, role alias %s", err, s.IoT.RoleAlias)
	}

	closed := liteRoot(t, good)
	must(t, os.Remove(filepath.Join(closed, liteConfig)))
	must(t, os.Mkdir(filepath.Join(closed, liteConfig), 0o750)) // cannot be read by any user
	s, err = fromEnv(lookupIn(component(root)), closed)
	if err != nil || s.IoT.TokenExchange.URL != exchangeURL || !strings.Contains(s.IoT.NoCertificate, filepath.Join(closed, liteConfig)) {
		t.Errorf("a configuration closed to us: %v, %+v", err, s.IoT)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAHubOfSiteWiseNeedsNoThing where a token exchange service has its credentials, in a component or not.
func TestAHubOfSiteWiseNeedsNoThing(t *testing.T) {
	t.Parallel()
	alone := map[string]string{EnvRegion: "us-west-2", EnvSiteWiseHub: "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10", EnvTokenExchange: exchangeURL}
	const unset = EnvThingName + " is not set"
	for name, row := range map[string]struct {
		env     map[string]string // beside alone; "-" takes away
		thing   string            // "" = none
		refused string
	}{
		"alone":              {},
		"token in variables": {env: map[string]string{envTokenExchangeToken: "ticket"}},
		"a thing":            {env: map[string]string{EnvThingName: "core-1"}, thing: "core-1"},
		"a component": {env: map[string]string{envGreengrassSocket: "/nowhere/ipc.socket", EnvGreengrassRoot: "/nowhere",
			envGreengrassThing: "core-1"}, thing: "core-1"},
		"a component without a thing": {env: map[string]string{envGreengrassSocket: "/nowhere/ipc.socket", EnvGreengrassRoot: "/nowhere"}},
		"without SiteWise":            {env: map[string]string{EnvSiteWiseHub: "-"}, refused: unset},
		"without the service":         {env: map[string]string{EnvTokenExchange: "-"}, refused: unset},
		"a certificate":               {env: map[string]string{EnvCoreCert: "/nowhere/cert"}, refused: unset},
		"a role alias":                {env: map[string]string{EnvRoleAlias: "alias"}, refused: unset},
		"a service elsewhere":         {env: map[string]string{EnvTokenExchange: "http://192.0.2.1/"}, refused: EnvTokenExchange},
		"a token file that is missing": {env: map[string]string{envTokenExchangeFile: "/nowhere/token"},
			refused: envTokenExchangeFile + ": cannot read /nowhere/token"},
	} {
		env := maps.Clone(alone)
		for k, v := range row.env {
			if env[k] = v; v == "-" {
				delete(env, k)
			}
		}
		s, err := FromEnv(lookupIn(env))
		switch {
		case row.refused != "":
			if err == nil || !strings.Contains(err.Error(), row.refused) || strings.Contains(err.Error(), "ticket") {
				t.Errorf("%s: %v, want an error about %s", name, err, row.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case s.IoT.TokenExchange.URL != exchangeURL || s.IoT.NoCertificate == "":
			t.Errorf("%s: %+v", name, s.IoT)
		case row.thing == "" && (s.IoT.NoThing != unset || s.IoT.ThingName != hostName()):
			t.Errorf("%s: it is a thing: %+v", name, s.IoT)
		case row.thing != "" && (s.IoT.NoThing != "" || s.IoT.ThingName != row.thing):
			t.Errorf("%s: %+v, want the thing %s", name, s.IoT, row.thing)
		}
	}
}
