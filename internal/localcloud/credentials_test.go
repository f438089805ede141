package localcloud

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type credentialsAnswer struct {
	Message     string
	Credentials struct {
		AccessKeyID, SecretAccessKey, SessionToken string
		Expiration                                 time.Time
	}
}

func askForCredentials(t *testing.T, c *Cloud, config *tls.Config, alias, thing string) (status int, got credentialsAnswer, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"https://"+c.CredentialEndpoint()+"/role-aliases/"+alias+"/credentials", nil)
	must(t, err)
	if thing != "" {
		r.Header.Set("x-amzn-iot-thingname", thing)
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, got, err
	}
	defer func() { _ = response.Body.Close() }()
	must(t, json.NewDecoder(response.Body).Decode(&got))
	return response.StatusCode, got, nil
}

func TestADeviceGetsCredentialsForItself(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	status, got, err := askForCredentials(t, c, deviceTLS(t, c, hub), RoleAlias, hub)
	must(t, err)
	if left := time.Until(got.Credentials.Expiration); status != 200 || left > time.Hour || left < 50*time.Minute {
		t.Fatalf("status %d, %v left", status, left)
	}
	key := got.Credentials
	cfg := sdkConfig(t, c, credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken))
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	must(t, err)
	if want := "arn:aws:sts::123456789012:assumed-role/" + RoleAlias + "/" + hub; *who.Arn != want || *who.Account != Account {
		t.Errorf("it is %s of %s, want %s", *who.Arn, *who.Account, want)
	}
}

func TestWhoGetsNoCredentials(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	must(t, c.AddThing("revoked"))
	must(t, c.Faults().RevokeCertificate("revoked"))
	for name, row := range map[string]struct {
		certificate, alias, thing string
		status                    int
	}{
		"another thing":  {hub, RoleAlias, "hub-2", 403},
		"no thing":       {hub, RoleAlias, "", 403},
		"unknown alias":  {hub, "other", hub, 404},
		"revoked":        {"revoked", RoleAlias, "revoked", 403},
		"strange path":   {hub, "a/b", hub, 404},
		"no certificate": {"", RoleAlias, hub, 0},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{RootCAs: c.pki.Pool()}
			if row.certificate != "" {
				config = deviceTLS(t, c, row.certificate)
			}
			status, got, err := askForCredentials(t, c, config, row.alias, row.thing)
			if row.status == 0 {
				if err == nil {
					t.Errorf("answered %d", status)
				}
				return
			}
			if err != nil || status != row.status || got.Message == "" || got.Credentials.AccessKeyID != "" {
				t.Errorf("status %d, %q, %v", status, got.Message, err)
			}
		})
	}
}

func TestCredentialsExpire(t *testing.T) {
	t.Parallel()
	c := start(t, Options{CredentialLifetime: 2 * time.Hour})
	_, got, err := askForCredentials(t, c, deviceTLS(t, c, hub), RoleAlias, hub)
	must(t, err)
	if left := time.Until(got.Credentials.Expiration); left < time.Hour {
		t.Errorf("only %v left", left)
	}
	old := c.keys.Issue(hub, time.Now().Add(-3*time.Hour))
	cfg := sdkConfig(t, c, credentials.NewStaticCredentialsProvider(old.ID, old.Secret, old.Token))
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "ExpiredToken", 403)
}

func TestTheUserIsKnown(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	who, err := sts.NewFromConfig(userConfig(t, c)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	must(t, err)
	if aws.ToString(who.Arn) != "arn:aws:iam::123456789012:user/local" || aws.ToString(who.Account) != Account ||
		aws.ToString(who.UserId) == "" {
		t.Errorf("it is %+v", who)
	}
}
