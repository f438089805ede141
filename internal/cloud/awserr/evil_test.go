package awserr_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// TestNothingOfAServiceIsKeptAsItCame puts evil texts into all that an answer says.
func TestNothingOfAServiceIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	for what, text := range testtools.EvilTexts {
		body, err := json.Marshal(map[string]string{"__type": text, "code": text, "message": text, "Message": text, "traceId": text})
		if err != nil {
			t.Fatal(err)
		}
		denied, err := json.Marshal(map[string]string{"message": "x is not authorized to perform: a:B on resource: " + text})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []awserr.Error{
			awserr.Parse(http.StatusBadRequest, nil, body),
			awserr.Parse(http.StatusForbidden, http.Header{"X-Amzn-Errortype": {text}}, []byte(text)),
			awserr.Parse(http.StatusForbidden, nil, denied),
			awserr.Classify(http.StatusInternalServerError, text, text),
			awserr.Classify(http.StatusForbidden, "com.x#"+text+":http://y", text),
		} {
			for member, shown := range map[string]string{"name": e.Name, "message": e.Message, "action": e.Action, "resource": e.Resource} {
				if why := testtools.Harm(shown, awserr.MaxText); why != "" {
					t.Errorf("%s: the %s %.100q %s", what, member, shown, why)
				}
			}
		}
	}
}
