package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestGreengrassGivesWhatTheEnvironmentLacks(t *testing.T) {
	t.Parallel()
	env := goodEnvironment(t)
	root := t.TempDir()
	text := strings.NewReplacer("CERT", env[EnvCoreCert], "KEY", env[EnvCorePrivateKey], "CA\"", env[EnvCACert]+"\"").Replace(effectiveConfig)
	if err := os.MkdirAll(filepath.Join(root, "config"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, greengrassConfig), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := SettingsFromEnv(lookupIn(map[string]string{EnvGreengrassRoot: root, EnvRoleAlias: "of-our-own"}))
	if err != nil {
		t.Fatal(err)
	}
	want := IoTSettings{
		CACert: env[EnvCACert], Cert: env[EnvCoreCert], PrivateKey: env[EnvCorePrivateKey],
		CredentialEndpoint: "abc.credentials.iot.us-west-2.amazonaws.com", DataEndpoint: "abc-ats.iot.us-west-2.amazonaws.com",
		RoleAlias: "of-our-own", ThingName: "core-1", ClientID: "core-1-kvs-edge",
	}
	if s.IoT != want || s.Region != "us-west-2" {
		t.Errorf("got  %+v\nwant %+v", s.IoT, want)
	}
	if _, err := SettingsFromEnv(lookupIn(map[string]string{EnvGreengrassRoot: t.TempDir()})); err == nil || !strings.Contains(err.Error(), EnvGreengrassRoot) {
		t.Errorf("without the file: %v", err)
	}
	if s, err = SettingsFromEnv(lookupIn(env)); err != nil || s.IoT.ClientID != s.IoT.ThingName {
		t.Errorf("without Greengrass the client is %q, not the thing: %v", s.IoT.ClientID, err)
	}
}
