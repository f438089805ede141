// Package secretsmanager plays Secrets Manager: secrets with versions and staging labels.
package secretsmanager

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// Target is what the header X-Amz-Target begins with in requests of the service.
const Target = "secretsmanager."

// Options of a Manager.
type Options struct {
	Home  account.Home
	State state.Part[Secrets]
	Now   func() time.Time
	// Fault returns the error that reading the value of a secret is to be answered with; nil = none.
	Fault func(arn string) error
}

// Manager is the service.
type Manager struct{ o Options }

// New returns the service.
func New(o Options) *Manager { return &Manager{o: o} }

func (m *Manager) now() time.Time { return m.o.Now().UTC().Truncate(time.Millisecond) }

// API returns the service as the HTTPS endpoint has it.
func (m *Manager) API() awsapi.Service {
	return awsapi.Service{
		Name:     awsapi.SecretsManager,
		Protocol: func(*http.Request) awsapi.Protocol { return awsapi.JSON11 },
		Operation: func(r *http.Request, _ []byte) string {
			return strings.TrimPrefix(r.Header.Get("X-Amz-Target"), Target)
		},
		Resource: func(_ *http.Request, body []byte) string {
			var in struct{ SecretId, Name string }
			_ = json.Unmarshal(body, &in) // the operation reports what is wrong with it
			return cmp.Or(in.SecretId, in.Name)
		},
		Call: func(operation string, _ *http.Request, body []byte) ([]byte, error) {
			if do, ok := operations[operation]; ok {
				return do(m, body)
			}
			return nil, errorf("UnknownOperationException", "header X-Amz-Target",
				"localcloud has no operation %.100q of Secrets Manager; it has %s", operation, strings.Join(Operations(), ", "))
		},
	}
}

// Operations lists the operations that are here.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }

var operations = map[string]func(*Manager, []byte) ([]byte, error){
	"CreateSecret":   awsapi.JSONOperation((*Manager).createSecret),
	"DeleteSecret":   awsapi.JSONOperation((*Manager).deleteSecret),
	"DescribeSecret": awsapi.JSONOperation((*Manager).describeSecret),
	"GetSecretValue": awsapi.JSONOperation((*Manager).getSecretValue),
	"ListSecrets":    awsapi.JSONOperation((*Manager).listSecrets),
	"PutSecretValue": awsapi.JSONOperation((*Manager).putSecretValue),
	"RestoreSecret":  awsapi.JSONOperation((*Manager).restoreSecret),
	"UpdateSecret":   awsapi.JSONOperation((*Manager).updateSecret),
}

// errorf is an error about where, a member or a header of the request.
func errorf(name, where, format string, args ...any) *awsapi.Error {
	return awsapi.Errorf(http.StatusBadRequest, name, where, format, args...)
}

type secretID struct{ SecretId string }

// value is what a request says of a new version.
type value struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

// member names the one that holds the value.
func (in value) member() string {
	if in.SecretString == nil {
		return "SecretBinary"
	}
	return "SecretString"
}

// version reads a value; nil = there is none in the request.
func (in value) version(now time.Time) (*version, error) {
	token := len(in.ClientRequestToken)
	switch {
	case token != 0 && (token < minVersionToken || token > maxVersionToken):
		return nil, errorf("InvalidParameterException", "ClientRequestToken", "ClientRequestToken must be %d to %d characters long.",
			minVersionToken, maxVersionToken)
	case in.SecretString != nil && in.SecretBinary != nil:
		return nil, errorf("InvalidParameterException", "SecretBinary",
			"You can't specify both a binary secret value and a string secret value in the same secret.")
	case in.SecretString == nil && in.SecretBinary == nil:
		return nil, nil
	case in.SecretString != nil && len(*in.SecretString) > maxSecretBytes, len(in.SecretBinary) > maxSecretBytes:
		return nil, errorf("InvalidParameterException", in.member(), "The secret value is longer than %d bytes.", maxSecretBytes)
	}
	return &version{String: in.SecretString, Binary: in.SecretBinary, Created: now}, nil
}

// add puts a version under the request's token, which makes a repeated request the same request.
func (in value) add(s *secret, v *version, stages []string) (id string, err error) {
	id = cmp.Or(in.ClientRequestToken, awsapi.RequestID())
	if had := s.Versions[id]; had != nil {
		if !had.same(v) {
			return "", errorf("ResourceExistsException", "ClientRequestToken",
				"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", id, s.ARN)
		}
		return id, nil
	}
	s.put(id, v, stages)
	return id, nil
}

type createSecretInput struct {
	value
	Name, Description, KmsKeyId string
	Tags                        []tag
}

func (m *Manager) createSecret(in createSecretInput) (any, error) {
	now := m.now()
	v, err := in.version(now)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	err = m.o.State.Update(func(d Secrets) error {
		s, missing := d.find(in.Name, now)
		switch {
		case missing != nil:
			if s, err = m.newSecret(in.Name, now); err != nil {
				return err
			}
			s.Description, s.KmsKeyID, s.Tags = in.Description, in.KmsKeyId, in.Tags
		case !s.Deleted.IsZero():
			return errorf("InvalidRequestException", "Name",
				"You can't create this secret because a secret with this name is already scheduled for deletion.")
		case v == nil || s.Versions[in.ClientRequestToken] == nil || !s.Versions[in.ClientRequestToken].same(v):
			return errorf("ResourceExistsException", "Name", "The operation failed because the secret %s already exists.", in.Name)
		}
		out["ARN"], out["Name"] = s.ARN, s.Name
		if v != nil {
			if out["VersionId"], err = in.add(s, v, []string{currentStage}); err != nil {
				return err
			}
		}
		d[s.Name] = s
		return nil
	})
	return out, err
}

func (m *Manager) getSecretValue(in struct{ SecretId, VersionId, VersionStage string }) (any, error) {
	var out map[string]any
	err := m.o.State.View(func(d Secrets) error {
		s, err := d.findLive(in.SecretId, m.now())
		if err != nil {
			return err
		}
		if err := m.o.Fault(s.ARN); err != nil {
			return err
		}
		id, v, err := s.version(in.VersionId, in.VersionStage)
		if err != nil {
			return err
		}
		out = map[string]any{"ARN": s.ARN, "Name": s.Name, "VersionId": id, "VersionStages": slices.Clone(v.Stages),
			"CreatedDate": awsapi.EpochOf(v.Created)}
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
func (s *secret) version(id, stage string) (string, *version, error) {
	missing := func(where, what string) error {
		return errorf("ResourceNotFoundException", where, "Secrets Manager can't find the specified secret value for %s", what)
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
		return "", nil, errorf("InvalidRequestException", "VersionStage",
			"You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return id, v, nil
}

type putSecretValueInput struct {
	value
	SecretId      string
	VersionStages []string
}

func (m *Manager) putSecretValue(in putSecretValueInput) (any, error) {
	now := m.now()
	v, err := in.version(now)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, errorf("InvalidRequestException", "SecretString", "You must provide either SecretString or SecretBinary.")
	case in.VersionStages == nil:
		in.VersionStages = []string{currentStage}
	case len(in.VersionStages) == 0 || len(in.VersionStages) > maxVersionStages:
		return nil, errorf("InvalidParameterException", "VersionStages",
			"VersionStages must have 1 to %d staging labels.", maxVersionStages)
	}
	for _, stage := range in.VersionStages {
		if stage == "" || len(stage) > 256 {
			return nil, errorf("InvalidParameterException", "VersionStages", "A staging label must be 1 to 256 characters long.")
		}
	}
	out := map[string]any{}
	err = m.o.State.Update(func(d Secrets) error {
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
	value
	SecretId    string
	Description *string
	KmsKeyId    *string
}

func (m *Manager) updateSecret(in updateSecretInput) (any, error) {
	now := m.now()
	v, err := in.version(now)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	err = m.o.State.Update(func(d Secrets) error {
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

func (m *Manager) deleteSecret(in deleteSecretInput) (any, error) {
	days := usualRecoveryDays
	if in.RecoveryWindowInDays != nil {
		switch days = *in.RecoveryWindowInDays; {
		case in.ForceDeleteWithoutRecovery:
			return nil, errorf("InvalidParameterException", "RecoveryWindowInDays",
				"You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		case days < minRecoveryDays || days > maxRecoveryDays:
			return nil, errorf("InvalidParameterException", "RecoveryWindowInDays",
				"The RecoveryWindowInDays value must be between %d and %d days (inclusive).", minRecoveryDays, maxRecoveryDays)
		}
	}
	now := m.now()
	out := map[string]any{}
	err := m.o.State.Update(func(d Secrets) error {
		s, err := d.find(in.SecretId, now)
		switch {
		case err != nil && in.ForceDeleteWithoutRecovery && in.SecretId != "":
			// Source: API reference: forcing the deletion of a secret that does not exist is not an error.
			s = &secret{Name: in.SecretId, ARN: ARN(m.o.Home, in.SecretId)}
		case err != nil:
			return err
		case in.ForceDeleteWithoutRecovery:
			delete(d, s.Name)
		case !s.Deleted.IsZero():
			return errorf("InvalidRequestException", "SecretId",
				"You tried to perform the operation on a secret that's currently marked deleted.")
		}
		s.Deleted = now.Add(time.Duration(days) * 24 * time.Hour)
		if in.ForceDeleteWithoutRecovery {
			s.Deleted = now
		}
		out["ARN"], out["Name"], out["DeletionDate"] = s.ARN, s.Name, awsapi.EpochOf(s.Deleted)
		return nil
	})
	return out, err
}

func (m *Manager) restoreSecret(in secretID) (any, error) {
	out := map[string]string{}
	err := m.o.State.Update(func(d Secrets) error {
		s, err := d.find(in.SecretId, m.now())
		if err == nil {
			s.Deleted = time.Time{}
			out["ARN"], out["Name"] = s.ARN, s.Name
		}
		return err
	})
	return out, err
}
