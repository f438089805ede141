// Package secrets owns the reading of camera URLs from AWS Secrets Manager. It must not know what
// a camera is, and keeps nothing: who asks, caches.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// The keys of the secret's JSON that may hold the camera's URL, in order of preference and in any case. AWS's edge agent reads
// MediaURI; RTSPStreamUrl is the name in its later versions' examples, and for the edge connector, which ignores the case.
var urlKeys = []string{"MediaURI", "RTSPStreamUrl"}

// Timeout bounds one reading, with all of the SDK's retries.
const Timeout = 10 * time.Second

// The codes of the faults.
const (
	codeNotFound    = "secret-not-found"
	CodeDenied      = "secret-denied"
	codeContent     = "secret-content" // not JSON, no URL in it, not the URL of a camera
	codeUnreachable = "secret-unreachable"
)

// Client reads secrets. Safe for concurrent use.
type Client struct {
	config awsclient.Config
	api    *secretsmanager.Client // in the hub's region
}

// New returns a Client with the credentials, region and endpoint of cfg.
func New(cfg awsclient.Config) *Client {
	return &Client{config: cfg, api: secretsmanager.NewFromConfig(cfg.SDK(endpoint.SecretsManager))}
}

// MediaURI reads the camera's URL from the secret with this name, an ARN: the value of its key MediaURI
// or RTSPStreamUrl, in any case. An error is a *health.Fault that shows no part
// of the value.
func (c *Client) MediaURI(ctx context.Context, name string) (secret.String, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	out, err := c.in(regionOf(name)).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return secret.String{}, requestFault(name, err)
	}
	content := out.SecretBinary
	if out.SecretString != nil {
		content = []byte(*out.SecretString)
	}
	return urlIn(name, content)
}

// in is the client for a region, which need not be the hub's; "" is the hub's.
func (c *Client) in(region string) *secretsmanager.Client {
	if region == "" || region == c.config.Region() {
		return c.api
	}
	return secretsmanager.NewFromConfig(c.config.SDKIn(endpoint.SecretsManager, region))
}

// regionOf is the region that holds a secret; "" when its name does not say so.
func regionOf(name string) string {
	parsed, _ := arn.Parse(name)
	return parsed.Region
}

func requestFault(name string, err error) error {
	var fault *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &fault) {
		return fault
	}
	switch answer := awserr.Of(err); {
	case answer.Kind == awserr.Unusable:
		return health.UserFault(codeNotFound, err, "The secret %s cannot be read, as it is marked for deletion or has no value: restore it, "+
			"or correct MediaUriSecretArn.", name)
	case answer.Kind == awserr.Malformed:
		return health.UserFault(codeNotFound, err, "%s is not a valid ARN of a secret: correct MediaUriSecretArn.", name)
	case answer.Kind == awserr.NotFound:
		return health.UserFault(codeNotFound, err, "The secret %s does not exist: create it, or correct MediaUriSecretArn.", name)
	case answer.Kind == awserr.Undecryptable, answer.RightMissing() && strings.HasPrefix(answer.Action, "kms:"):
		return decryptFault(name, err)
	case answer.RightMissing():
		return health.UserFault(CodeDenied, err, "The hub's role may not read the secret %s: allow it secretsmanager:GetSecretValue.", name)
	case answer.CredentialsRefused():
		return health.SystemFault(CodeDenied, err, "Secrets Manager refuses the hub's credentials: check the role alias and the hub's clock.")
	case answer.Kind == awserr.Unreachable:
		return health.SystemFault(codeUnreachable, err, "Secrets Manager cannot be reached to read the secret %s: check the hub's internet "+
			"connection and firewall (port 443).", name)
	default:
		return health.SystemFault(codeUnreachable, err, "Secrets Manager answers with HTTP status %d when asked for the secret %s; the agent "+
			"keeps trying.", answer.Status, name)
	}
}

func decryptFault(name string, err error) error {
	return health.UserFault(CodeDenied, err, "The hub's role may not decrypt the secret %s: allow it kms:Decrypt with the secret's key.", name)
}

// urlIn finds the URL in the secret's content. No part of the content gets into an error, hence
// none has a cause.
func urlIn(name string, content []byte) (secret.String, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) != nil || fields == nil {
		return secret.String{}, health.UserFault(codeContent, nil,
			`The secret %s is not JSON: its value must be {"MediaURI": "rtsp://…"}.`, name)
	}
	for _, wanted := range urlKeys {
		key := keyOf(fields, wanted)
		if key == "" {
			continue
		}
		var value string
		if json.Unmarshal(fields[key], &value) != nil {
			return secret.String{}, health.UserFault(codeContent, nil, "The key %s of the secret %s is not a string: it must be the camera's URL.",
				key, name)
		}
		value = address.Tidy(value)
		if !isCameraURL(value) {
			return secret.String{}, health.UserFault(codeContent, nil, "The key %s of the secret %s is not the URL of a camera: it must begin "+
				"with rtsp:// or rtsps:// and a host, with rtsph:// or rtspsh:// where RTSP goes through HTTP, or for FILE_URI with file:///.",
				key, name)
		}
		return secret.New(value), nil
	}
	return secret.String{}, health.UserFault(codeContent, nil, "The secret %s has no key %s: add it with the camera's URL.", name, urlKeys[0])
}

// keyOf is how the secret spells a key; "" where it has none. The exact case takes precedence.
func keyOf(fields map[string]json.RawMessage, wanted string) string {
	if _, exactly := fields[wanted]; exactly {
		return wanted
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if strings.EqualFold(key, wanted) {
			return key
		}
	}
	return ""
}

// isCameraURL checks scheme and host only: the recorder parses the rest, as passwords may have odd
// characters.
func isCameraURL(s string) bool {
	scheme, rest, _ := strings.Cut(s, "://")
	if strings.EqualFold(scheme, "file") { // the recorder knows whether it may be one
		return len(rest) > 1 && strings.HasPrefix(rest, "/") && !strings.ContainsAny(s, "\r\n\x00")
	}
	return address.Looks(s)
}
