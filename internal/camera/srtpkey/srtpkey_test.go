package srtpkey

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/mikey"
)

// message returns a message like a camera's.
func message(t testing.TB, params ...mikey.PayloadSPPolicyParam) string {
	t.Helper()
	m := mikey.Message{
		Header: mikey.Header{Version: 1, CSIDMapInfo: []mikey.SRTPIDEntry{{SSRC: 7}}},
		Payloads: []mikey.Payload{
			&mikey.PayloadT{TSValue: 1 << 32},
			&mikey.PayloadRAND{Data: make([]byte, 16)},
			&mikey.PayloadSP{PolicyParams: params},
			&mikey.PayloadKEMAC{SubPayloads: []*mikey.SubPayloadKeyData{{Type: mikey.SubPayloadKeyDataKeyTypeTEK, KeyData: make([]byte, 30)}}},
		},
	}
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func TestMessagesAreWrittenAsTheLibraryReadsThem(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 500_000_000)
	param := func(kind mikey.PayloadSPPolicyParamType, value ...byte) mikey.PayloadSPPolicyParam {
		return mikey.PayloadSPPolicyParam{Type: kind, Value: value}
	}
	for name, row := range map[string]struct {
		encoded  string
		readable bool
	}{
		"nothing is said":              {message(t), true},
		"an authentication key of 160": {message(t, param(mikey.PayloadSPPolicyParamTypeSessionAuthKeyLen, 20)), true},
		"as the library has it":        {message(t, param(mikey.PayloadSPPolicyParamTypeSessionAuthKeyLen, 10)), true},
		"a tag of 80":                  {message(t, param(mikey.PayloadSPPolicyParamTypeAuthTagLen, 10)), true},
		"a tag of 32":                  {message(t, param(mikey.PayloadSPPolicyParamTypeAuthTagLen, 4)), false},
		"a key of 256":                 {message(t, param(mikey.PayloadSPPolicyParamTypeSessionEncrKeyLen, 32)), false},
		"no encryption":                {message(t, param(mikey.PayloadSPPolicyParamTypeSRTPEncrOffOn, 0)), false},
		"two bytes":                    {message(t, param(mikey.PayloadSPPolicyParamTypeAuthAlg, 1, 1)), false},
		"no base64":                    {"!", false},
		"no message":                   {"AAAA", false},
		"nothing":                      {"", false},
	} {
		got := Readable(row.encoded, now)
		if (got != "") != row.readable {
			t.Errorf("%s: %q", name, got)
			continue
		}
		if got == "" {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(got)
		var m mikey.Message
		if err != nil || m.Unmarshal(raw) != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if at, ok := m.Payloads[0].(*mikey.PayloadT); !ok || at.TSValue != (1_800_000_000+2_208_988_800)<<32|1<<31 {
			t.Errorf("%s: the time is %+v", name, m.Payloads[0])
		}
		if sp, ok := m.Payloads[1].(*mikey.PayloadSP); !ok || len(sp.PolicyParams) != 7 || sp.PolicyParams[3].Value[0] != 10 {
			t.Errorf("%s: the policies are %+v", name, m.Payloads[1])
		}
		if again := Readable(got, now); again != got {
			t.Errorf("%s: %q, and then %q", name, got, again)
		}
	}
}

func TestHeadersKeepWhatIsAroundTheMessage(t *testing.T) {
	t.Parallel()
	encoded := message(t)
	value := `prot=mikey;uri="rtsps://h/1";data="` + encoded + `"`
	got := Header(value, time.Now())
	if !strings.HasPrefix(got, `prot=mikey;uri="rtsps://h/1";data="`) || !strings.HasSuffix(got, `"`) || got == value {
		t.Errorf("%q", got)
	}
	for _, odd := range []string{"", "prot=mikey", `prot=mikey;data="?"`} {
		if got := Header(odd, time.Now()); got != odd {
			t.Errorf("%q became %q", odd, got)
		}
	}
}

func FuzzReadable(f *testing.F) {
	f.Add(message(f))
	f.Add("AQAFAKwSc+IBAADA5aUtAAAAAAsA7rSI")
	f.Fuzz(func(t *testing.T, encoded string) {
		now := time.Unix(1_800_000_000, 0)
		if got := Readable(encoded, now); got != "" && Readable(got, now) != got {
			t.Errorf("%q becomes %q, which is not stable", encoded, got)
		}
	})
}
