"""A pendant of others: paho-mqtt publishes alarms with QoS 1 and says what it heard.

usage: mqtt_publish.py HOST PORT VERSION(311|5) DEVICE PASSWORD COUNT [CA_FILE]
Prints one JSON object: how many were acknowledged, and what a topic of others was answered.
"""

import json
import sys

import paho.mqtt.client as mqtt

host, port, version, device, password, count = sys.argv[1:7]
ca_file = sys.argv[7] if len(sys.argv) > 7 else None
level = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311

heard = {"acknowledged": 0, "reasons": [], "closed": False}
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{version}", protocol=level,
    reconnect_on_failure=False,
)


def on_publish(_client, _userdata, _mid, reason, _properties):
    heard["acknowledged"] += 1
    heard["reasons"].append(reason.value)


def on_disconnect(_client, _userdata, _flags, _reason, _properties):
    heard["closed"] = True


client.on_publish = on_publish
client.on_disconnect = on_disconnect
client.username_pw_set(device, password)
if ca_file:
    client.tls_set(ca_certs=ca_file)
client.connect(host, int(port), keepalive=30)
client.loop_start()
topic = f"hansho/v1/pendant/{device}/alarm"
for n in range(int(count)):
    payload = {"n": n + (100_000 if version == "5" else 0), "alarms": [{"kind": "help"}]}
    client.publish(topic, json.dumps(payload), qos=1).wait_for_publish(20)
before = heard["acknowledged"]
other = client.publish("hansho/v1/pendant/somebody-else/alarm", "{}", qos=1)
try:
    other.wait_for_publish(20)
except RuntimeError:
    pass
heard["before"] = before
client.disconnect()
client.loop_stop()
print(json.dumps(heard))
