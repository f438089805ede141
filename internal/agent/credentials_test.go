package agent

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
)

// refusedCredentials counts how often others were asked for.
type refusedCredentials struct{ invalidated int }

func (r *refusedCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
}

func (r *refusedCredentials) Invalidate() { r.invalidated++ }

// What the uploader does when the service refuses the credentials gets through to what gives them.
func TestRefusedCredentialsAreAskedForAnew(t *testing.T) {
	t.Parallel()
	var given refusedCredentials
	cfg, err := loadAWS(Settings{Region: "us-west-2"}, &given, "test")
	must(t, err)
	kvs.New(kvs.Options{Config: cfg}).InvalidateCredentials()
	if given.invalidated != 1 {
		t.Errorf("whoever gives the credentials was told %d times, want once", given.invalidated)
	}
}
