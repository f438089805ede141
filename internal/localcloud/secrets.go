package localcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

const (
	secretsTarget    = "secretsmanager."
	maxListedSecrets = 100
)

// secretPattern is narrower than that of Secrets Manager, which allows / and more: EdgeConfig
// takes only these.
var secretPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`)

var secretsService = service{
	name:        serviceSecrets,
	contentType: "application/x-amz-json-1.1",
	operation: func(r *http.Request, _ []byte) string {
		return strings.TrimPrefix(r.Header.Get("X-Amz-Target"), secretsTarget)
	},
	call: func(c *Cloud, operation string, _ *http.Request, body []byte) ([]byte, error) {
		if do, ok := secretsOperations[operation]; ok {
			return do(c, body)
		}
		return nil, unknownOperation(operation)
	},
}

var secretsOperations = map[string]func(*Cloud, []byte) ([]byte, error){
	"GetSecretValue": jsonOperation((*Cloud).getSecretValue),
	"CreateSecret":   jsonOperation((*Cloud).createSecret),
	"PutSecretValue": jsonOperation((*Cloud).putSecretValue),
	"ListSecrets":    jsonOperation((*Cloud).listSecrets),
}

func secretsError(name, format string, args ...any) *media.HTTPError {
	return kvsError(http.StatusBadRequest, name, format, args...)
}

// secretARN ends in six characters, as Secrets Manager's do. They follow from the name, so that a
// secret has the same ARN in every local cloud.
func secretARN(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", Region, Account, name, hex.EncodeToString(sum[:3]))
}

// findSecret takes a name, an ARN, or an ARN without the six characters.
func (d *document) findSecret(id string) (*secretRecord, error) {
	for _, s := range d.Secrets {
		if id != "" && (id == s.Name || id == s.ARN || id == s.ARN[:len(s.ARN)-7]) {
			return s, nil
		}
	}
	return nil, secretsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

// PutSecret makes a secret, or replaces its value.
func (c *Cloud) PutSecret(name, json string) (arn string, err error) {
	err = c.update(func(d *document) error {
		s := d.Secrets[name]
		if s == nil {
			if s, err = c.newSecret(name); err != nil {
				return err
			}
			d.Secrets[name] = s
		}
		c.setSecret(s, json)
		arn = s.ARN
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("cannot put secret %s: %w", name, err)
	}
	return arn, nil
}

func (c *Cloud) newSecret(name string) (*secretRecord, error) {
	if !secretPattern.MatchString(name) {
		return nil, secretsError("InvalidParameterException", "Invalid name. Must be 1 to 256 letters, digits, or _.-")
	}
	return &secretRecord{Name: name, ARN: secretARN(name), Created: c.o.Now().UTC().Truncate(time.Millisecond)}, nil
}

func (c *Cloud) setSecret(s *secretRecord, value string) {
	if s.Version == "" || s.Value != value {
		s.Value, s.Version, s.Changed = value, requestID(), c.o.Now().UTC().Truncate(time.Millisecond)
	}
}

func (c *Cloud) getSecretValue(in struct{ SecretId, VersionId, VersionStage string }) (any, error) {
	var found secretRecord
	if err := c.view(func(d *document) error {
		s, err := d.findSecret(in.SecretId)
		if err == nil {
			found = *s
		}
		return err
	}); err != nil {
		return nil, err
	}
	if err := c.faults.strike("secret " + found.ARN); err != nil {
		return nil, err
	}
	if in.VersionId != "" && in.VersionId != found.Version || in.VersionStage != "" && in.VersionStage != currentStage {
		return nil, secretsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret value: only the current one is kept.")
	}
	return map[string]any{
		"ARN": found.ARN, "Name": found.Name, "SecretString": found.Value, "VersionId": found.Version,
		"VersionStages": []string{currentStage}, "CreatedDate": epoch{found.Changed},
	}, nil
}

const currentStage = "AWSCURRENT"

func (c *Cloud) createSecret(in struct{ Name, SecretString string }) (any, error) {
	var made secretRecord
	err := c.update(func(d *document) error {
		if d.Secrets[in.Name] != nil {
			return secretsError("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
		}
		s, err := c.newSecret(in.Name)
		if err != nil {
			return err
		}
		c.setSecret(s, in.SecretString)
		d.Secrets[in.Name], made = s, *s
		return nil
	})
	return map[string]string{"ARN": made.ARN, "Name": made.Name, "VersionId": made.Version}, err
}

func (c *Cloud) putSecretValue(in struct{ SecretId, SecretString string }) (any, error) {
	var put secretRecord
	err := c.update(func(d *document) error {
		s, err := d.findSecret(in.SecretId)
		if err == nil {
			c.setSecret(s, in.SecretString)
			put = *s
		}
		return err
	})
	return map[string]any{"ARN": put.ARN, "Name": put.Name, "VersionId": put.Version, "VersionStages": []string{currentStage}}, err
}

type secretListEntry struct {
	ARN, Name                    string
	CreatedDate, LastChangedDate epoch
	SecretVersionsToStages       map[string][]string
}

func (c *Cloud) listSecrets(in struct {
	MaxResults *int
	NextToken  string
}) (any, error) {
	limit, after, err := page(in.MaxResults, maxListedSecrets, maxListedSecrets, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := struct {
		SecretList []secretListEntry
		NextToken  string `json:",omitempty"`
	}{SecretList: []secretListEntry{}}
	err = c.view(func(d *document) error {
		for _, name := range slices.Sorted(maps.Keys(d.Secrets)) {
			if name <= after {
				continue
			}
			if len(out.SecretList) == limit {
				out.NextToken = tokenAfter(out.SecretList[limit-1].Name)
				break
			}
			s := d.Secrets[name]
			out.SecretList = append(out.SecretList, secretListEntry{
				ARN: s.ARN, Name: s.Name, CreatedDate: epoch{s.Created}, LastChangedDate: epoch{s.Changed},
				SecretVersionsToStages: map[string][]string{s.Version: {currentStage}},
			})
		}
		return nil
	})
	return out, err
}
