"""What names a person is sealed before it reaches the database: keys, fields, and marks to search by."""
