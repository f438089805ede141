package settings

import (
	"strings"
	"testing"
)

func TestMisspeltNamesAreFoundWithWhatIsMeant(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"AWS_KVS_EDGE_UPLAOD_MODE":      "AWS_KVS_EDGE_UPLAOD_MODE (did you mean AWS_KVS_EDGE_UPLOAD_MODE?)",
		"AWS_KVS_EDGE_LOGLEVEL":         "AWS_KVS_EDGE_LOGLEVEL (did you mean AWS_KVS_EDGE_LOG_LEVEL?)",
		"AWS_KVS_EDGE_FLOCK_OF_PIGEONS": "AWS_KVS_EDGE_FLOCK_OF_PIGEONS",
		"AWS_IOT_CORE_THINGNAME":        "AWS_IOT_CORE_THINGNAME (did you mean AWS_IOT_CORE_THING_NAME?)",
		"AWS_KSV_EDGE_SOCKET":           "AWS_KSV_EDGE_SOCKET (did you mean AWS_KVS_EDGE_SOCKET?)",
		"AWS_IOT_CA_CRET":               "AWS_IOT_CA_CRET (did you mean AWS_IOT_CA_CERT?)",
		"AWS_IOT_THING_NAME":            "", // Greengrass sets it
		"AWS_ENDPOINT_URL_STS":          "",
		"AWS_ACCESS_KEY_ID":             "",
		"AWS_REGIO":                     "", // the SDK's, of which there are many
		"TZ":                            "",
	} {
		var said []string
		for _, m := range MisspeltNames([]string{name, name}) {
			said = append(said, m.String())
		}
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("of %s it says %q, want %q", name, got, want)
		}
	}
	var known []string
	for _, v := range allVariables() {
		known = append(known, v.Name)
	}
	if list := MisspeltNames(known); len(list) > 0 {
		t.Errorf("settings are misspelt: %v", list)
	}
}
