package localcloud

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

const (
	secretsTarget    = "secretsmanager."
	maxListedSecrets = 100
)

var secretsService = service{
	name: serviceSecrets,
	wire: func(*http.Request) wire { return wireJSON11 },
	operation: func(r *http.Request, _ []byte) string {
		return strings.TrimPrefix(r.Header.Get("X-Amz-Target"), secretsTarget)
	},
	resource: func(_ *http.Request, body []byte) string {
		var in struct{ SecretId, Name string }
		_ = json.Unmarshal(body, &in) // the operation reports what is wrong with it
		return cmp.Or(in.SecretId, in.Name)
	},
	contentType: typeJSON11,
	call: func(c *Cloud, operation string, _ *http.Request, body []byte) ([]byte, error) {
		if do, ok := secretsOperations[operation]; ok {
			return do(c, body)
		}
		return nil, secretsError("UnknownOperationException", "header X-Amz-Target",
			"localcloud has no operation %.100q of Secrets Manager; it has %s",
			operation, strings.Join(slices.Sorted(maps.Keys(secretsOperations)), ", "))
	},
}

// secretsOperations is filled in by init: a refusal of an unknown operation lists it.
var secretsOperations map[string]func(*Cloud, []byte) ([]byte, error)

func init() {
	secretsOperations = map[string]func(*Cloud, []byte) ([]byte, error){
		"CreateSecret":   jsonOperation((*Cloud).createSecret),
		"DeleteSecret":   jsonOperation((*Cloud).deleteSecret),
		"DescribeSecret": jsonOperation((*Cloud).describeSecret),
		"GetSecretValue": jsonOperation((*Cloud).getSecretValue),
		"ListSecrets":    jsonOperation((*Cloud).listSecrets),
		"PutSecretValue": jsonOperation((*Cloud).putSecretValue),
		"RestoreSecret":  jsonOperation((*Cloud).restoreSecret),
		"UpdateSecret":   jsonOperation((*Cloud).updateSecret),
	}
}

// secretsError is an error about where, a member or a header of the request.
func secretsError(name, where, format string, args ...any) *media.HTTPError {
	return at(where, kvsError(http.StatusBadRequest, name, format, args...))
}

type secretID struct{ SecretId string }

// secretValue is what a request says of a new version.
type secretValue struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

// member names the one that holds the value.
func (in secretValue) member() string {
	if in.SecretString == nil {
		return "SecretBinary"
	}
	return "SecretString"
}

// version reads a value; nil = there is none in the request.
func (in secretValue) version(now time.Time) (*secretVersion, error) {
	token := len(in.ClientRequestToken)
	switch {
	case token != 0 && (token < minVersionToken || token > maxVersionToken):
		return nil, secretsError("InvalidParameterException", "ClientRequestToken", "ClientRequestToken must be %d to %d characters long.",
			minVersionToken, maxVersionToken)
	case in.SecretString != nil && in.SecretBinary != nil:
		return nil, secretsError("InvalidParameterException", "SecretBinary",
			"You can't specify both a binary secret value and a string secret value in the same secret.")
	case in.SecretString == nil && in.SecretBinary == nil:
		return nil, nil
	case in.SecretString != nil && len(*in.SecretString) > maxSecretBytes, len(in.SecretBinary) > maxSecretBytes:
		return nil, secretsError("InvalidParameterException", in.member(), "The secret value is longer than %d bytes.", maxSecretBytes)
	}
	return &secretVersion{String: in.SecretString, Binary: in.SecretBinary, Created: now}, nil
}

// add puts a version under the request's token, which makes a repeated request the same request.
func (in secretValue) add(s *secretRecord, v *secretVersion, stages []string) (id string, err error) {
	id = cmp.Or(in.ClientRequestToken, requestID())
	if had := s.Versions[id]; had != nil {
		if !had.same(v) {
			return "", secretsError("ResourceExistsException", "ClientRequestToken",
				"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", id, s.ARN)
		}
		return id, nil
	}
	s.put(id, v, stages)
	return id, nil
}

type createSecretInput struct {
	secretValue
	Name, Description, KmsKeyId string
	Tags                        []secretTag
}

func (c *Cloud) createSecret(in createSecretInput) (any, error) {
	now := c.secretNow()
	v, err := in.version(now)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	err = c.update(func(d *document) error {
		s, missing := d.findSecret(in.Name, now)
		switch {
		case missing != nil:
			if s, err = newSecret(in.Name, now); err != nil {
				return err
			}
			s.Description, s.KmsKeyID, s.Tags = in.Description, in.KmsKeyId, in.Tags
		case !s.Deleted.IsZero():
			return secretsError("InvalidRequestException", "Name",
				"You can't create this secret because a secret with this name is already scheduled for deletion.")
		case v == nil || s.Versions[in.ClientRequestToken] == nil || !s.Versions[in.ClientRequestToken].same(v):
			return secretsError("ResourceExistsException", "Name", "The operation failed because the secret %s already exists.", in.Name)
		}
		out["ARN"], out["Name"] = s.ARN, s.Name
		if v != nil {
			if out["VersionId"], err = in.add(s, v, []string{currentStage}); err != nil {
				return err
			}
		}
		d.Secrets[s.Name] = s
		return nil
	})
	return out, err
}

func (c *Cloud) getSecretValue(in struct{ SecretId, VersionId, VersionStage string }) (any, error) {
	var out map[string]any
	err := c.view(func(d *document) error {
		s, err := d.findLive(in.SecretId, c.secretNow())
		if err != nil {
			return err
		}
		if err := c.faults.strike("secret " + s.ARN); err != nil {
			return err
		}
		id, v, err := s.version(in.VersionId, in.VersionStage)
		if err != nil {
			return err
		}
		out = map[string]any{"ARN": s.ARN, "Name": s.Name, "VersionId": id, "VersionStages": slices.Clone(v.Stages),
			"CreatedDate": epoch{v.Created}}
		if v.String != nil {
			out["SecretString"] = *v.String
		} else {
			out["SecretBinary"] = slices.Clone(v.Binary)
		}
		return nil
	})
	return out, err
}

// version finds the version with an id, a stage, or both; with neither the current one.
func (s *secretRecord) version(id, stage string) (string, *secretVersion, error) {
	missing := func(where, what string) error {
		return secretsError("ResourceNotFoundException", where, "Secrets Manager can't find the specified secret value for %s", what)
	}
	if id == "" {
		stage = cmp.Or(stage, currentStage)
		if id = s.staged(stage); id == "" {
			return "", nil, missing("VersionStage", "staging label: "+stage)
		}
	}
	v := s.Versions[id]
	switch {
	case v == nil:
		return "", nil, missing("VersionId", "VersionId: "+id)
	case stage != "" && !slices.Contains(v.Stages, stage):
		return "", nil, secretsError("InvalidRequestException", "VersionStage",
			"You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return id, v, nil
}

type putSecretValueInput struct {
	secretValue
	SecretId      string
	VersionStages []string
}

func (c *Cloud) putSecretValue(in putSecretValueInput) (any, error) {
	now := c.secretNow()
	v, err := in.version(now)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, secretsError("InvalidRequestException", "SecretString", "You must provide either SecretString or SecretBinary.")
	case in.VersionStages == nil:
		in.VersionStages = []string{currentStage}
	case len(in.VersionStages) == 0 || len(in.VersionStages) > maxVersionStages:
		return nil, secretsError("InvalidParameterException", "VersionStages",
			"VersionStages must have 1 to %d staging labels.", maxVersionStages)
	}
	for _, stage := range in.VersionStages {
		if stage == "" || len(stage) > 256 {
			return nil, secretsError("InvalidParameterException", "VersionStages", "A staging label must be 1 to 256 characters long.")
		}
	}
	out := map[string]any{}
	err = c.update(func(d *document) error {
		s, err := d.findLive(in.SecretId, now)
		if err != nil {
			return err
		}
		id, err := in.add(s, v, in.VersionStages)
		if err != nil {
			return err
		}
		out["ARN"], out["Name"], out["VersionId"], out["VersionStages"] = s.ARN, s.Name, id, slices.Clone(s.Versions[id].Stages)
		return nil
	})
	return out, err
}

type updateSecretInput struct {
	secretValue
	SecretId    string
	Description *string
	KmsKeyId    *string
}

func (c *Cloud) updateSecret(in updateSecretInput) (any, error) {
	now := c.secretNow()
	v, err := in.version(now)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	err = c.update(func(d *document) error {
		s, err := d.findLive(in.SecretId, now)
		if err != nil {
			return err
		}
		out["ARN"], out["Name"] = s.ARN, s.Name
		if v != nil {
			if out["VersionId"], err = in.add(s, v, []string{currentStage}); err != nil {
				return err
			}
		}
		if in.Description != nil {
			s.Description = *in.Description
		}
		if in.KmsKeyId != nil {
			s.KmsKeyID = *in.KmsKeyId
		}
		s.Changed = now
		return nil
	})
	return out, err
}

type deleteSecretInput struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

func (c *Cloud) deleteSecret(in deleteSecretInput) (any, error) {
	days := usualRecoveryDays
	if in.RecoveryWindowInDays != nil {
		switch days = *in.RecoveryWindowInDays; {
		case in.ForceDeleteWithoutRecovery:
			return nil, secretsError("InvalidParameterException", "RecoveryWindowInDays",
				"You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		case days < minRecoveryDays || days > maxRecoveryDays:
			return nil, secretsError("InvalidParameterException", "RecoveryWindowInDays",
				"The RecoveryWindowInDays value must be between %d and %d days (inclusive).", minRecoveryDays, maxRecoveryDays)
		}
	}
	now := c.secretNow()
	out := map[string]any{}
	err := c.update(func(d *document) error {
		s, err := d.findSecret(in.SecretId, now)
		switch {
		case err != nil && in.ForceDeleteWithoutRecovery && in.SecretId != "":
			// Source: API reference: it is no error to force the deletion of what is not there.
			s = &secretRecord{Name: in.SecretId, ARN: secretARN(in.SecretId)}
		case err != nil:
			return err
		case in.ForceDeleteWithoutRecovery:
			delete(d.Secrets, s.Name)
		case !s.Deleted.IsZero():
			return secretsError("InvalidRequestException", "SecretId",
				"You tried to perform the operation on a secret that's currently marked deleted.")
		}
		s.Deleted = now.Add(time.Duration(days) * 24 * time.Hour)
		if in.ForceDeleteWithoutRecovery {
			s.Deleted = now
		}
		out["ARN"], out["Name"], out["DeletionDate"] = s.ARN, s.Name, epoch{s.Deleted}
		return nil
	})
	return out, err
}

func (c *Cloud) restoreSecret(in secretID) (any, error) {
	out := map[string]string{}
	err := c.update(func(d *document) error {
		s, err := d.findSecret(in.SecretId, c.secretNow())
		if err == nil {
			s.Deleted = time.Time{}
			out["ARN"], out["Name"] = s.ARN, s.Name
		}
		return err
	})
	return out, err
}
