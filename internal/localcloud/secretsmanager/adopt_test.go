package secretsmanager

import (
	"testing"
	"time"
)

func TestASecretOfAnEarlierLocalCloudIsRead(t *testing.T) {
	t.Parallel()
	s := secret{Name: "s", Value: "old", Version: "v1", Changed: time.Unix(1, 0)}
	Secrets{"s": &s}.Adopt()
	if id, v, err := s.version("", ""); err != nil || id != "v1" || *v.String != "old" || s.Value != "" {
		t.Errorf("version %s, %+v, %v", id, v, err)
	}
}
