package sitewise

import "encoding/json"

// TopicPrefix is what the topics of notifications begin with. Source: user guide, "Understanding asset properties' MQTT topics".
const TopicPrefix = "$aws/sitewise/asset-models/"

// notification is what is published about the values of a property. Source: user guide, "Query asset property notifications".
type notification struct {
	Type    string `json:"type"`
	Payload struct {
		Asset    string `json:"assetId"`
		Property string `json:"propertyId"`
		Values   []tqv  `json:"values"`
	} `json:"payload"`
}

// notify publishes values, also those that changed nothing, as the user guide says.
func (r request) notify(topic string, k key, values []tqv) {
	n := notification{Type: "PropertyValueUpdate"}
	n.Payload.Asset, n.Payload.Property, n.Payload.Values = k.Asset, k.Property, values
	if text, err := json.Marshal(n); err == nil { // which it is: the values are on disk as JSON
		r.o.Publish(topic, text)
	}
}
