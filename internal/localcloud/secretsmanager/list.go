package secretsmanager

import (
	"maps"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// maxListedSecrets bounds a page of ListSecrets.
const maxListedSecrets = 100

// listEntry is how DescribeSecret and ListSecrets show a secret.
type listEntry struct {
	ARN, Name                    string
	Description, KmsKeyId        string `json:",omitempty"`
	CreatedDate, LastChangedDate awsapi.Epoch
	DeletedDate                  awsapi.Epoch        `json:",omitzero"`
	Tags                         []tag               `json:",omitempty"`
	VersionIdsToStages           map[string][]string `json:",omitempty"` // of DescribeSecret
	SecretVersionsToStages       map[string][]string `json:",omitempty"` // of ListSecrets
}

func (s *secret) entry() listEntry {
	return listEntry{
		ARN: s.ARN, Name: s.Name, Description: s.Description, KmsKeyId: s.KmsKeyID,
		CreatedDate: awsapi.EpochOf(s.Created), LastChangedDate: awsapi.EpochOf(s.Changed),
		DeletedDate: awsapi.EpochOf(s.Deleted), Tags: slices.Clone(s.Tags),
	}
}

func (m *Manager) describeSecret(in secretID) (any, error) {
	var out listEntry
	err := m.o.State.View(func(d Secrets) error {
		s, err := d.find(in.SecretId, m.now())
		if err == nil {
			out = s.entry()
			out.VersionIdsToStages = s.stages()
		}
		return err
	})
	return out, err
}

type listSecretsInput struct {
	MaxResults             *int
	NextToken              string
	IncludePlannedDeletion bool
	Filters                []struct {
		Key    string
		Values []string
	}
}

// shows reports whether the filters let a secret through. Of the keys only name is here: its values
// are beginnings of names, with ! for all other names.
func (in listSecretsInput) shows(s *secret) bool {
	if !s.Deleted.IsZero() && !in.IncludePlannedDeletion {
		return false
	}
	for _, filter := range in.Filters {
		if !slices.ContainsFunc(filter.Values, func(value string) bool {
			prefix, not := strings.CutPrefix(value, "!")
			return strings.HasPrefix(s.Name, prefix) != not
		}) {
			return false
		}
	}
	return true
}

func (m *Manager) listSecrets(in listSecretsInput) (any, error) {
	limit := maxListedSecrets
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > maxListedSecrets {
			return nil, errorf("InvalidParameterException", "MaxResults", "MaxResults must be 1 to %d.", maxListedSecrets)
		}
	}
	after, err := awsapi.ReadToken(in.NextToken)
	if err != nil {
		return nil, errorf("InvalidNextTokenException", "NextToken", "Invalid NextToken provided.")
	}
	for _, filter := range in.Filters {
		if filter.Key != "name" || len(filter.Values) == 0 {
			return nil, errorf("InvalidParameterException", "Filters",
				"localcloud has the filter name only, with values; not %.40q", filter.Key)
		}
	}
	out := struct {
		SecretList []listEntry
		NextToken  string `json:",omitempty"`
	}{SecretList: []listEntry{}}
	err = m.o.State.View(func(d Secrets) error {
		_, _ = d.find("", m.now()) // forgets those whose recovery window is over
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if s := d[name]; name > after && in.shows(s) {
				if len(out.SecretList) == limit {
					out.NextToken = awsapi.TokenAfter(out.SecretList[limit-1].Name)
					break
				}
				entry := s.entry()
				entry.SecretVersionsToStages = s.stages()
				out.SecretList = append(out.SecretList, entry)
			}
		}
		return nil
	})
	return out, err
}
