package localcloud

import (
	"maps"
	"slices"
	"strings"
)

// secretListEntry is how DescribeSecret and ListSecrets show a secret.
type secretListEntry struct {
	ARN, Name                    string
	Description, KmsKeyId        string `json:",omitempty"`
	CreatedDate, LastChangedDate epoch
	DeletedDate                  epoch               `json:",omitzero"`
	Tags                         []secretTag         `json:",omitempty"`
	VersionIdsToStages           map[string][]string `json:",omitempty"` // of DescribeSecret
	SecretVersionsToStages       map[string][]string `json:",omitempty"` // of ListSecrets
}

func (s *secretRecord) entry() secretListEntry {
	return secretListEntry{
		ARN: s.ARN, Name: s.Name, Description: s.Description, KmsKeyId: s.KmsKeyID,
		CreatedDate: epoch{s.Created}, LastChangedDate: epoch{s.Changed}, DeletedDate: epoch{s.Deleted}, Tags: slices.Clone(s.Tags),
	}
}

func (c *Cloud) describeSecret(in secretID) (any, error) {
	var out secretListEntry
	err := c.view(func(d *document) error {
		s, err := d.findSecret(in.SecretId, c.secretNow())
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
func (in listSecretsInput) shows(s *secretRecord) bool {
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

func (c *Cloud) listSecrets(in listSecretsInput) (any, error) {
	limit := maxListedSecrets
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > maxListedSecrets {
			return nil, secretsError("InvalidParameterException", "MaxResults", "MaxResults must be 1 to %d.", maxListedSecrets)
		}
	}
	after, err := readToken(in.NextToken)
	if err != nil {
		return nil, secretsError("InvalidNextTokenException", "NextToken", "Invalid NextToken provided.")
	}
	for _, filter := range in.Filters {
		if filter.Key != "name" || len(filter.Values) == 0 {
			return nil, secretsError("InvalidParameterException", "Filters",
				"localcloud has the filter name only, with values; not %.40q", filter.Key)
		}
	}
	out := struct {
		SecretList []secretListEntry
		NextToken  string `json:",omitempty"`
	}{SecretList: []secretListEntry{}}
	err = c.view(func(d *document) error {
		_, _ = d.findSecret("", c.secretNow()) // forgets those whose recovery window is over
		for _, name := range slices.Sorted(maps.Keys(d.Secrets)) {
			if s := d.Secrets[name]; name > after && in.shows(s) {
				if len(out.SecretList) == limit {
					out.NextToken = tokenAfter(out.SecretList[limit-1].Name)
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
