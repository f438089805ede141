package secretsmanager

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// The limits of Secrets Manager. Source: API reference and quotas.
const (
	maxSecretBytes    = 65_536
	maxVersionStages  = 20
	maxUnstaged       = 100 // versions without a stage that are kept
	maxSecretName     = 512
	minVersionToken   = 32
	maxVersionToken   = 64
	minRecoveryDays   = 7
	maxRecoveryDays   = 30
	usualRecoveryDays = 30
)

// The staging labels that Secrets Manager moves by itself.
const (
	currentStage  = "AWSCURRENT"
	previousStage = "AWSPREVIOUS"
)

// namePattern is that of Secrets Manager. EdgeConfig takes fewer names in its ARNs.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)

// Secrets are the secrets as they are kept on disk, by name.
type Secrets map[string]*secret

// Adopt turns what an earlier local cloud kept into versions.
func (d Secrets) Adopt() {
	for _, s := range d {
		s.adopt()
	}
}

// secret is one secret.
type secret struct {
	Name        string              `json:"name"`
	ARN         string              `json:"arn"`
	Description string              `json:"description,omitempty"`
	KmsKeyID    string              `json:"kms_key_id,omitempty"`
	Tags        []tag               `json:"tags,omitempty"`
	Created     time.Time           `json:"created"`
	Changed     time.Time           `json:"changed"`
	Deleted     time.Time           `json:"deleted,omitzero"` // end of the recovery window; zero = not marked for deletion
	Versions    map[string]*version `json:"versions"`         // by VersionId

	// What an earlier local cloud kept in place of versions.
	Value   string `json:"value,omitempty"`
	Version string `json:"version,omitempty"`
}

type tag struct{ Key, Value string }

// version is a value of a secret. Exactly one of String and Binary is not nil.
type version struct {
	String  *string   `json:"string,omitempty"`
	Binary  []byte    `json:"binary,omitempty"`
	Created time.Time `json:"created"`
	Stages  []string  `json:"stages,omitempty"`
}

func (v *version) same(other *version) bool {
	if (v.String == nil) != (other.String == nil) {
		return false
	}
	return v.String != nil && *v.String == *other.String || v.String == nil && bytes.Equal(v.Binary, other.Binary)
}

// adopt turns what an earlier local cloud kept into a version.
func (s *secret) adopt() {
	if s.Versions == nil {
		s.Versions = map[string]*version{}
	}
	if s.Version != "" {
		value := s.Value
		s.Versions[s.Version] = &version{String: &value, Created: s.Changed, Stages: []string{currentStage}}
		s.Value, s.Version = "", ""
	}
}

// staged is the version with a staging label; "" = there is none.
func (s *secret) staged(stage string) (id string) {
	for id, v := range s.Versions {
		if slices.Contains(v.Stages, stage) {
			return id
		}
	}
	return ""
}

// put adds a version and moves the staging labels to it. With AWSCURRENT goes AWSPREVIOUS, to the
// version that had AWSCURRENT before.
func (s *secret) put(id string, v *version, stages []string) {
	before := s.staged(currentStage)
	s.Versions[id] = v
	for _, stage := range stages {
		s.move(stage, id)
	}
	if before != "" && before != id && slices.Contains(stages, currentStage) {
		s.move(previousStage, before)
	}
	s.Changed = v.Created
	s.forget()
}

func (s *secret) move(stage, to string) {
	for id, v := range s.Versions {
		v.Stages = slices.DeleteFunc(v.Stages, func(had string) bool { return had == stage })
		if id == to {
			v.Stages = append(v.Stages, stage)
			slices.Sort(v.Stages)
		}
	}
}

// forget drops the oldest versions without a stage beyond those that are kept.
func (s *secret) forget() {
	unstaged := slices.DeleteFunc(slices.Collect(maps.Keys(s.Versions)), func(id string) bool { return len(s.Versions[id].Stages) > 0 })
	slices.SortFunc(unstaged, func(a, b string) int {
		return cmp.Or(s.Versions[a].Created.Compare(s.Versions[b].Created), strings.Compare(a, b))
	})
	for _, id := range unstaged[:max(0, len(unstaged)-maxUnstaged)] {
		delete(s.Versions, id)
	}
}

// stages lists the staging labels by version; versions without any are left out.
func (s *secret) stages() map[string][]string {
	out := map[string][]string{}
	for id, v := range s.Versions {
		if len(v.Stages) > 0 {
			out[id] = slices.Clone(v.Stages)
		}
	}
	return out
}

// ARN of a secret ends in six characters, as Secrets Manager's do. They follow from the name, so that a
// secret has the same ARN in every local cloud.
func ARN(home account.Home, name string) string {
	sum := sha256.Sum256([]byte(name))
	return home.ARN("secretsmanager", "secret:"+name+"-"+hex.EncodeToString(sum[:3]))
}

// find takes a name, an ARN, or an ARN without the six characters. A secret whose recovery
// window is over is gone.
func (d Secrets) find(id string, now time.Time) (*secret, error) {
	for name, s := range d {
		if !s.Deleted.IsZero() && !now.Before(s.Deleted) {
			delete(d, name)
			continue
		}
		if id != "" && (id == s.Name || id == s.ARN || id == s.ARN[:len(s.ARN)-7]) {
			return s, nil
		}
	}
	return nil, errorf("ResourceNotFoundException", "SecretId", "Secrets Manager can't find the specified secret.")
}

// findLive is find for what a secret that is marked for deletion refuses.
func (d Secrets) findLive(id string, now time.Time) (*secret, error) {
	s, err := d.find(id, now)
	if err == nil && !s.Deleted.IsZero() {
		return nil, errorf("InvalidRequestException", "SecretId",
			"You can't perform this operation on the secret because it was marked for deletion.")
	}
	return s, err
}

// Put makes a secret, or replaces its value. One that is marked for deletion is restored.
func (m *Manager) Put(name, json string) (arn string, err error) {
	err = m.o.State.Update(func(d Secrets) error {
		now := m.now()
		s, missing := d.find(name, now)
		if missing != nil {
			if s, err = m.newSecret(name, now); err != nil {
				return err
			}
			d[name] = s
		}
		arn, s.Deleted = s.ARN, time.Time{}
		v := &version{String: &json, Created: now}
		if current := s.staged(currentStage); current == "" || !s.Versions[current].same(v) {
			s.put(awsapi.RequestID(), v, []string{currentStage})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("cannot put secret %s: %w", name, err)
	}
	return arn, nil
}

func (m *Manager) newSecret(name string, now time.Time) (*secret, error) {
	if len(name) > maxSecretName || !namePattern.MatchString(name) {
		return nil, errorf("InvalidParameterException", "Name",
			"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@, and at most %d of them",
			maxSecretName)
	}
	return &secret{Name: name, ARN: ARN(m.o.Home, name), Created: now, Changed: now, Versions: map[string]*version{}}, nil
}
