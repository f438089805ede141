package localcloud

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	ctx := t.Context()
	user := secretsmanager.NewFromConfig(userConfig(t, c))
	device := secretsmanager.NewFromConfig(deviceConfig(t, c, hub))

	made, err := user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("cameras/yard+1"), SecretString: aws.String("one")})
	must(t, err)
	_, err = user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("cameras/yard+1"), SecretString: aws.String("one")})
	wantError(t, err, "ResourceExistsException", 400)
	_, err = user.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: aws.String("two")})
	must(t, err)
	for _, id := range []string{*made.ARN, "cameras/yard+1", (*made.ARN)[:len(*made.ARN)-7]} {
		got, err := device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		must(t, err)
		if *got.SecretString != "two" || *got.ARN != *made.ARN || *got.Name != "cameras/yard+1" || got.CreatedDate.IsZero() ||
			*got.VersionId == *made.VersionId {
			t.Errorf("%s is %+v", id, got)
		}
	}

	c.Faults().RefuseSecret(*made.ARN, "AccessDeniedException")
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("cameras/yard+1")})
	wantError(t, err, "AccessDeniedException", 400)
	c.Faults().RefuseSecret(*made.ARN, "")
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("cameras/yard+1")})
	must(t, err)

	again, err := c.PutSecret("cameras/yard+1", "four")
	must(t, err)
	_, err = c.PutSecret("another", "x")
	must(t, err)
	if again != *made.ARN {
		t.Errorf("the ARN changed from %s to %s", *made.ARN, again)
	}
	var names []string
	pages := secretsmanager.NewListSecretsPaginator(user, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(t, err)
		for _, s := range page.SecretList {
			names = append(names, *s.Name)
		}
	}
	if diff := cmp.Diff([]string{"another", "cameras/yard+1"}, names); diff != "" {
		t.Error(diff)
	}
}

// checkVersions reads the versions that TestVersionsOfASecret makes.
func checkVersions(t *testing.T, user *secretsmanager.Client, token func(string) *string) {
	t.Helper()
	for name, row := range map[string]struct {
		in   secretsmanager.GetSecretValueInput
		text string // or else binary
		err  string
	}{
		"current":   {in: secretsmanager.GetSecretValueInput{}},
		"previous":  {in: secretsmanager.GetSecretValueInput{VersionStage: aws.String("AWSPREVIOUS")}, text: "first"},
		"own stage": {in: secretsmanager.GetSecretValueInput{VersionStage: aws.String("TRIAL")}, text: "next"},
		"version":   {in: secretsmanager.GetSecretValueInput{VersionId: token("a")}, text: "first"},
		"both":      {in: secretsmanager.GetSecretValueInput{VersionId: token("c"), VersionStage: aws.String("TRIAL")}, text: "next"},
		"both, but not of it": {in: secretsmanager.GetSecretValueInput{VersionId: token("c"), VersionStage: aws.String("AWSCURRENT")},
			err: "InvalidRequestException"},
		"unknown version": {in: secretsmanager.GetSecretValueInput{VersionId: token("z")}, err: "ResourceNotFoundException"},
		"unknown stage":   {in: secretsmanager.GetSecretValueInput{VersionStage: aws.String("NONE")}, err: "ResourceNotFoundException"},
	} {
		row.in.SecretId = aws.String("s")
		got, err := user.GetSecretValue(t.Context(), &row.in)
		if row.err != "" {
			wantError(t, err, row.err, 400)
			continue
		}
		must(t, err)
		if row.text == "" && !slices.Equal(got.SecretBinary, []byte{0, 255, 7}) || row.text != "" && aws.ToString(got.SecretString) != row.text {
			t.Errorf("%s is %q and %v", name, aws.ToString(got.SecretString), got.SecretBinary)
		}
	}
}

func TestVersionsOfASecret(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	ctx := t.Context()
	user := secretsmanager.NewFromConfig(userConfig(t, c))
	token := func(letter string) *string { return aws.String(strings.Repeat(letter, 32)) }
	_, err := user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("s"), ClientRequestToken: token("a"),
		SecretString: aws.String("first")})
	must(t, err)
	put := &secretsmanager.PutSecretValueInput{SecretId: aws.String("s"), ClientRequestToken: token("b"), SecretBinary: []byte{0, 255, 7}}
	for range 2 { // the same request twice is one request
		out, err := user.PutSecretValue(ctx, put)
		must(t, err)
		if *out.VersionId != *token("b") || !slices.Equal(out.VersionStages, []string{"AWSCURRENT"}) {
			t.Errorf("put as %s with %v", *out.VersionId, out.VersionStages)
		}
	}
	put.SecretBinary = []byte{1}
	_, err = user.PutSecretValue(ctx, put)
	wantError(t, err, "ResourceExistsException", 400)
	_, err = user.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("s"), ClientRequestToken: token("c"), SecretString: aws.String("next"), VersionStages: []string{"TRIAL"},
	})
	must(t, err)
	checkVersions(t, user, token)
	shown, err := user.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("s")})
	must(t, err)
	want := map[string][]string{*token("a"): {"AWSPREVIOUS"}, *token("b"): {"AWSCURRENT"}, *token("c"): {"TRIAL"}}
	if diff := cmp.Diff(want, shown.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
	_, err = user.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("s"), Description: aws.String("yard"),
		SecretString: aws.String("last")})
	must(t, err)
	shown, err = user.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("s")})
	must(t, err)
	if aws.ToString(shown.Description) != "yard" || !slices.Equal(shown.VersionIdsToStages[*token("b")], []string{"AWSPREVIOUS"}) {
		t.Errorf("after the update it is %+v", shown)
	}
}

func TestDeletedSecretsCanBeRestored(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, Options{Now: clock.Now})
	ctx := t.Context()
	user := secretsmanager.NewFromConfig(userConfig(t, c))
	id := aws.String("s")
	_, err := c.PutSecret("s", "x")
	must(t, err)
	remove := func(in secretsmanager.DeleteSecretInput) error {
		in.SecretId = id
		_, err := user.DeleteSecret(ctx, &in)
		return err
	}
	wantError(t, remove(secretsmanager.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(6)}), "InvalidParameterException", 400)
	wantError(t, remove(secretsmanager.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)}),
		"InvalidParameterException", 400)
	must(t, remove(secretsmanager.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)}))
	wantError(t, remove(secretsmanager.DeleteSecretInput{}), "InvalidRequestException", 400)
	_, err = user.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	wantError(t, err, "InvalidRequestException", 400)
	_, err = user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: id})
	wantError(t, err, "InvalidRequestException", 400)
	if list, err := user.ListSecrets(ctx, &secretsmanager.ListSecretsInput{}); err != nil || len(list.SecretList) != 0 {
		t.Errorf("the list shows %+v, %v", list, err)
	}
	_, err = user.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: id})
	must(t, err)
	_, err = user.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	must(t, err)

	must(t, remove(secretsmanager.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)}))
	clock.advance(7 * 24 * time.Hour)
	_, err = user.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: id})
	wantError(t, err, "ResourceNotFoundException", 400)
	must(t, remove(secretsmanager.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)})) // no error where there is none
}

func TestWhatSecretsManagerRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	ctx := t.Context()
	user := secretsmanager.NewFromConfig(userConfig(t, c))
	device := secretsmanager.NewFromConfig(deviceConfig(t, c, hub))
	_, err := c.PutSecret("s", "x")
	must(t, err)
	create := func(name string, value *string) func() error {
		return func() error {
			_, err := user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: value})
			return err
		}
	}
	put := func(client *secretsmanager.Client, in secretsmanager.PutSecretValueInput) func() error {
		return func() error {
			in.SecretId = aws.String("s")
			_, err := client.PutSecretValue(ctx, &in)
			return err
		}
	}
	for name, row := range map[string]struct {
		do  func() error
		err string
	}{
		"a space in the name": {create("a b", nil), "InvalidParameterException"},
		"a name too long":     {create(strings.Repeat("n", 513), nil), "InvalidParameterException"},
		"a value too long":    {create("long", aws.String(strings.Repeat("v", 65_537))), "InvalidParameterException"},
		"no value":            {put(user, secretsmanager.PutSecretValueInput{}), "InvalidRequestException"},
		"two values": {put(user, secretsmanager.PutSecretValueInput{SecretString: aws.String("x"), SecretBinary: []byte("x")}),
			"InvalidParameterException"},
		"a short token": {put(user, secretsmanager.PutSecretValueInput{SecretString: aws.String("x"),
			ClientRequestToken: aws.String("short")}), "InvalidParameterException"},
		"a device": {put(device, secretsmanager.PutSecretValueInput{SecretString: aws.String("x")}), "AccessDeniedException"},
		"an operation that is not here": {func() error {
			_, err := user.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: aws.String("s")})
			return err
		}, "UnknownOperationException"},
		"a filter that is not here": {func() error {
			_, err := user.ListSecrets(ctx, &secretsmanager.ListSecretsInput{Filters: []smtypes.Filter{{Key: smtypes.FilterNameStringTypeTagKey,
				Values: []string{"x"}}}})
			return err
		}, "InvalidParameterException"},
		"no such secret": {func() error {
			_, err := user.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("other")})
			return err
		}, "ResourceNotFoundException"},
		"a secret without a value": {func() error {
			must(t, create("empty", nil)())
			_, err := user.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("empty")})
			return err
		}, "ResourceNotFoundException"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, row.do(), row.err, 400)
		})
	}
}
