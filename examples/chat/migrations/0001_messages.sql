CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author varchar(40) NOT NULL,
    text varchar(2000) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
