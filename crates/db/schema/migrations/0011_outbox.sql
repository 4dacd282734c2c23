-- Messages to be sent: written by the transaction that makes the change they tell of, deleted once the broker has them.
-- A message keeps its UUID however often it is sent.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL DEFAULT gen_random_uuid(),
    created timestamp without time zone NOT NULL DEFAULT clock_timestamp(),
    topic text NOT NULL,
    body json NOT NULL
);
